"""The module graph of a task, lit by the activity of its modules, beside a picture of the task."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from genoevo_mega.networks.module_graph import ModuleGraph

Picture = npt.NDArray[np.uint8]
_BACKGROUND, _DARK, _LIT, _TEXT, _SUCCESS = (
    (18, 20, 26),
    (52, 57, 70),
    (255, 184, 64),
    (226, 228, 234),
    (120, 220, 130),
)
_SCALE = 2  # drawn larger, then reduced, for smooth lines
_HEIGHTS = (-0.22, 0.22, -0.34, 0.34, -0.12, 0.1)  # of successive modules, so that edges do not hide one another


class GraphPanel:
    """A drawing of one task's graph, *height* pixels high.

    The width of an edge is its share of the output. Each step sets how strongly each node is lit, in [0, 1].
    """

    def __init__(self, graph: ModuleGraph, title: str, height: int) -> None:
        self.size = (height * 5 // 4, height)
        self._graph, self._title = graph, title
        width, tall = (side * _SCALE for side in self.size)
        self._unit = tall / 240
        count, middle = len(graph.inputs), tall * 0.56
        self._ends = (width * 0.09, middle), (width * 0.91, middle)
        self._places = {0: self._ends[0]}
        for i, k in enumerate(graph.inputs, 1):
            x = width * (0.09 + 0.82 * i / (count + 1))
            self._places[k] = (x, middle + tall * _HEIGHTS[(i - 1) % len(_HEIGHTS)])
        self._fonts = [ImageFont.load_default(size * self._unit) for size in (13, 11)]

    def draw(self, lit: dict[int, float], line: str, *, success: bool) -> Picture:
        """Return the picture (height, width, 3), with nodes lit as in *lit* and *line* below the title."""
        image = Image.new("RGB", [side * _SCALE for side in self.size], _BACKGROUND)
        pen, unit = ImageDraw.Draw(image), self._unit
        share = self._graph.shares()
        for target, edges in [*self._graph.inputs.items(), (-1, self._graph.output)]:
            end = self._ends[1] if target < 0 else self._places[target]
            for source, weight in edges.items():
                flow = weight if target < 0 else weight * share[target]
                pen.line(
                    [self._places[source], end],
                    _between(0.75 * lit[source] * weight**0.5),
                    max(round(9 * unit * flow), 1),
                )
        for k, (x, y) in self._places.items():
            self._node(pen, x, y, lit[k], str(k) if k else "in")
        self._node(pen, *self._ends[1], 0.0, "out")
        pen.text((8 * unit, 6 * unit), self._title, _TEXT, self._fonts[0])
        pen.text((8 * unit, 24 * unit), line, _SUCCESS if success else _TEXT, self._fonts[1])
        return np.asarray(image.resize(self.size, Image.Resampling.LANCZOS))

    def _node(self, pen: ImageDraw.ImageDraw, x: float, y: float, lit: float, label: str) -> None:
        r = 13 * self._unit
        pen.ellipse([x - r, y - r, x + r, y + r], _between(lit), _TEXT, round(self._unit))
        pen.text((x, y), label, (0, 0, 0) if lit > 0.5 else _TEXT, self._fonts[1], anchor="mm")


def beside(picture: Picture, panel: Picture) -> Picture:
    """Return both in one, the picture scaled to the panel's height; sides are even, as video formats require."""
    height = panel.shape[0] // 2 * 2
    both = np.hstack([scaled(picture, height), panel[:height]])
    return both[:, : both.shape[1] // 2 * 2]


def scaled(picture: Picture, height: int) -> Picture:
    """Return the picture scaled to *height*, or to one less, so that sides are even."""
    height = height // 2 * 2
    width = round(picture.shape[1] * height / picture.shape[0] / 2) * 2
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def _between(lit: float) -> tuple[int, ...]:
    pairs: Iterable[tuple[int, int]] = zip(_DARK, _LIT, strict=True)
    return tuple(round(a + (b - a) * min(max(lit, 0.0), 1.0)) for a, b in pairs)
