"""Settings of the critics: their networks, what they predict, and what they see."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from genoevo_runs.settings import Count, Settings


class Critic(Settings):
    """The networks of the twin critics [O]."""

    kind: Literal["genotype", "residual", "mlp"] = "genotype"
    """``genotype``: the critics have the actor's architecture and follow the genotype that the actor
    follows. The others see no genotype and are the same for every architecture, so that values of several
    genotypes are comparable: ``residual``, perceptrons of residual blocks with LayerNorm
    (``genoevo_mega.networks.residual``), and ``mlp``, the perceptron of ``mtsac``."""
    width: Count = 128
    """Width of the hidden layers of ``residual`` and ``mlp``."""
    blocks: Count = 2
    """Residual blocks of two layers each, for ``residual``."""
    layers: Count = 3
    """Hidden layers, for ``mlp``."""
    task_embedding: Annotated[int, Field(ge=0, le=1024)] = 0
    """Numbers of a trained vector of unit norm for each task, which critics of any kind and the actor
    read beside the task one-hot; 0 for none. Only the critics' loss trains it
    (``genoevo_mega.networks.embedding``)."""


class Value(Settings):
    """What the critics predict, and how both predictions become one [O]."""

    loss: Literal["squared", "hl-gauss", "two-hot"] = "squared"
    """``squared``: a critic predicts a number, by the squared error. The others predict the probabilities of
    ``bins`` numbers, by the cross-entropy with the target: smoothed by a Gaussian, or shared by the two
    nearest numbers (``genoevo_mega.agents.value``)."""
    bins: Annotated[int, Field(ge=2, le=1001)] = 101
    """Numbers whose probabilities are predicted, evenly spaced."""
    range: Annotated[float, Field(gt=0, le=1e6)] = 10.0
    """Largest of these numbers, and minus the smallest. Values beyond count as these. It is also the
    range of values that ``normalise.rewards`` scales to."""
    smoothing: Annotated[float, Field(gt=0, le=10)] = 0.75
    """Standard deviation of the Gaussian of ``hl-gauss``, in distances between neighbouring numbers."""
    twins: Literal["minimum", "mean"] = "minimum"
    """How the two critics' values become one, in targets, in the actor's loss and for candidates."""


class Normalise(Settings):
    """What is brought to a common scale before the learner sees it, by the run's own statistics [O].

    ``genoevo_mega.agents.normalisation`` defines both.
    """

    observations: bool = False
    """Whether each task's observations are shifted and scaled to mean 0 and variance 1. Exported policies
    hold the constants."""
    rewards: bool = False
    """Whether each task's rewards are scaled so that its discounted returns lie within ``value.range``. They
    are not scaled before the task's first episode has ended."""
