"""Settings of the critics' networks."""

from __future__ import annotations

from typing import Literal

from genoevo_runs.settings import Count, Settings


class Critic(Settings):
    """The networks of the twin critics [O]."""

    kind: Literal["genotype", "residual"] = "genotype"
    """``genotype``: the critics have the actor's architecture and follow the genotype that the actor
    follows. ``residual``: the critics are residual perceptrons that see no genotype, the same for every
    architecture (``genoevo_mega.networks.residual``). Values of several genotypes are then comparable."""
    width: Count = 128
    """Width of a residual critic's layers."""
    blocks: Count = 2
    """Residual blocks of two layers each."""
