"""Sizes of the networks."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from genoevo_runs.settings import Count, Settings

Layers = Annotated[tuple[Count, ...], Field(min_length=1)]
ARCHITECTURES = ("mega", "mtsac", "mtmhsac", "soft-modules", "paco", "moore", "d2r")
"""Names of :data:`genoevo_mega.networks.ARCHITECTURES`; there may be the name of a callable in their place."""


class Network(Settings):
    """The modular agent's sizes."""

    scaled: ClassVar = ("width", "hidden")
    """The settings that give way when a network is sized to a number of parameters; so in the groups below."""
    repeated: ClassVar = ("embedding_layers",)
    """The settings that say how often a part is there; so in the groups below."""

    width: Count = 400
    """Width of the embedding and of every module's input and output [P]."""
    embedding_layers: Count = 2
    """Layers of the embedding [P]."""
    hidden: Count = 128
    """Width inside a module [P]; that it is one hidden layer [R]."""


class Mlp(Settings):
    """Sizes of ``mtsac`` and ``mtmhsac``."""

    scaled: ClassVar = ("layers",)
    repeated: ClassVar = ()
    layers: Layers = (400, 400, 400)
    """Widths of the hidden layers."""


class SoftModules(Settings):
    """Sizes of ``soft-modules``; the paper's shallow network."""

    scaled: ClassVar = ("width", "module_width", "gating_width")
    repeated: ClassVar = ("layers", "modules")
    width: Count = 400
    """Of the embeddings of observation and task."""
    module_width: Count = 256
    gating_width: Count = 256
    """Of the routing network."""
    layers: Annotated[int, Field(ge=2)] = 2
    """Layers of modules."""
    modules: Count = 2
    """Modules in each layer."""


class Paco(Settings):
    """Sizes of ``paco``."""

    scaled: ClassVar = ("layers",)
    repeated: ClassVar = ("sets",)
    layers: Layers = (400, 400, 400)
    """Widths of the hidden layers."""
    sets: Count = 5
    """Shared sets of weights."""


class Moore(Settings):
    """Sizes of ``moore``."""

    scaled: ClassVar = ("layers",)
    repeated: ClassVar = ("experts",)
    layers: Layers = (400, 400, 400)
    """Widths of an expert's layers; the last is that of the features."""
    experts: Count = 4
    """Experts: 4 (MT10), 6 (MT50)."""


class D2r(Settings):
    """Sizes of ``d2r``."""

    scaled: ClassVar = ("width", "module_width", "gating_width")
    repeated: ClassVar = ("modules",)
    width: Count = 400
    """Of the embeddings of observation and task."""
    module_width: Count = 128
    gating_width: Count = 256
    """Of the routing network."""
    modules: Annotated[int, Field(ge=2)] = 16
    sources: Count = 2
    """Earlier modules that a module reads at most."""
