"""Names of the architectures, and the sizes of their networks."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genoevo_runs.settings import Count, Settings

Layers = Annotated[tuple[Count, ...], Field(min_length=1)]
ARCHITECTURES = ("mega", "mtsac", "mtmhsac", "soft-modules", "paco", "moore", "d2r")
"""Names of the architectures, of which :data:`genoevo_mega.networks.ARCHITECTURES` has the networks."""


class Network(Settings):
    """Sizes of ``mega``, the modular network."""

    # In every group here: the settings that change when a network is sized to a number of
    # parameters, and those that count how often a part is repeated.
    scaled: ClassVar = ("width", "hidden")
    repeated: ClassVar = ("embedding_layers",)

    width: Count = 400
    """Width of the embedding and of every module's input and output [P]."""
    embedding_layers: Count = 2
    """Layers of the embedding of observation and task [P]."""
    hidden: Count = 128
    """Width of the hidden layer of a module [P]; that there is one such layer is [R]."""
    modules: Literal["plain", "residual"] = "plain"
    """``plain``: a module returns what its two layers make of its input [R]. ``residual``: they change
    its input, which LayerNorm precedes (``genoevo_mega.networks.modular_layers``) [O]."""


class Mlp(Settings):
    """Sizes of ``mtsac`` and ``mtmhsac`` [O]."""

    scaled: ClassVar = ("layers",)
    repeated: ClassVar = ()
    layers: Layers = (400, 400, 400)
    """Widths of the hidden layers."""


class SoftModules(Settings):
    """Sizes of ``soft-modules``; by default its paper's shallow network [O]."""

    scaled: ClassVar = ("width", "module_width", "gating_width")
    repeated: ClassVar = ("layers", "modules")
    width: Count = 400
    """Width of the embeddings of observation and task."""
    module_width: Count = 256
    """Width of a module."""
    gating_width: Count = 256
    """Width of the routing network."""
    layers: Annotated[int, Field(ge=2)] = 2
    """Layers of modules."""
    modules: Count = 2
    """Modules in each layer."""


class Paco(Settings):
    """Sizes of ``paco`` [O]."""

    scaled: ClassVar = ("layers",)
    repeated: ClassVar = ("sets",)
    layers: Layers = (400, 400, 400)
    """Widths of the hidden layers."""
    sets: Count = 5
    """Sets of weights that all tasks share; each task mixes them."""


class Moore(Settings):
    """Sizes of ``moore`` [O]."""

    scaled: ClassVar = ("layers",)
    repeated: ClassVar = ("experts",)
    layers: Layers = (400, 400, 400)
    """Widths of an expert's layers. The last one is the width of the features."""
    experts: Count = 4
    """Experts: 4 for MT10, 6 for MT50."""


class D2r(Settings):
    """Sizes of ``d2r`` [O]."""

    scaled: ClassVar = ("width", "module_width", "gating_width")
    repeated: ClassVar = ("modules",)
    width: Count = 400
    """Width of the embeddings of observation and task."""
    module_width: Count = 128
    """Width of a module."""
    gating_width: Count = 256
    """Width of the routing network."""
    modules: Annotated[int, Field(ge=2)] = 16
    """Modules in all."""
    sources: Count = 2
    """Largest number of earlier modules that a module reads."""
