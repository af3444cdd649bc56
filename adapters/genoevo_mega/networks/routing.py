"""What evolution decides of a network."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Routing(NamedTuple):
    """Decoded weights, for each task one genotype's (B = 1) or one per transition (B = batch).

    Shapes
    ------
    inputs
        (tasks, B, M - 1, M) float32: row k - 2 holds the weights of module k's inputs h_0 .. h_(k-1), then zeros.
    output
        (tasks, B, M + 1) float32: the weights of h_0 .. h_N in the output, then zeros.
    stages
        One int per task: the modules it uses.

    """

    inputs: Tensor
    output: Tensor
    stages: tuple[int, ...]
