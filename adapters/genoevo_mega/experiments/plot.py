"""The picture of a comparison; needs matplotlib."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from genoevo_mega.experiments.compare import Comparison
from genoevo_runs.errors import UserError
from genoevo_runs.statistics import Interval

SUFFIXES = (".png", ".svg")


def check_picture(path: Path) -> None:
    """Raise UserError if no picture can be written to *path*; to be called before the work starts."""
    if find_spec("matplotlib") is None:
        raise UserError("a picture needs matplotlib: pip install 'genoevo[plot]'")
    if path.suffix not in SUFFIXES:
        raise UserError(f"picture = {str(path)!r}: must end with {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise UserError(f"picture = {str(path)!r}: directory {path.parent} does not exist")


def draw(comparison: Comparison, path: Path) -> None:
    """Draw success with intervals, success over environment steps, and the probability of improvement to *path*."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(comparison.methods)
    figure = Figure(figsize=(16, max(4.0, 1.6 + 0.36 * count)), layout="constrained")
    FigureCanvasAgg(figure)
    success, curves, improvement = figure.subplots(1, 3, width_ratios=[1, 1.5, 1])
    colours = _colours(count)
    names = [f"{method.name} ({len(method.results)})" for method in comparison.methods]
    _bars(success, names, [method.iqm for method in comparison.methods], colours)
    success.set(title="success, interquartile mean (seeds)", xlim=(0, 1))
    for method, colour in zip(comparison.methods, colours, strict=True):
        _line(curves, method.name, method.curve, colour)
    curves.set(title="success over environment steps", xlabel="environment steps", ylim=(0, 1))
    if any(method.curve for method in comparison.methods) and count > 1:
        curves.legend(fontsize="small")
    others = [
        (method.name, interval, colour)
        for method, colour in zip(comparison.methods, colours, strict=True)
        if (interval := comparison.improvement.get(method.name)) is not None
    ]
    if others:
        other_names, intervals, other_colours = zip(*others, strict=True)
        _bars(improvement, list(other_names), list(intervals), list(other_colours))
    improvement.axvline(0.5, color="black", linewidth=0.8)
    improvement.set(title=f"probability of improvement over\n{comparison.reference}", xlim=(0, 1))
    few = [method.name for method in comparison.methods if method.iqm.low is None]
    note = "Bars and bands: 95 % stratified bootstrap intervals over seeds and tasks."
    figure.supxlabel(
        note + (f" No interval because of too few seeds: {', '.join(few)}." if few else ""), fontsize="small"
    )
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise UserError(f"picture = {str(path)!r}: cannot be written: {error.strerror}") from None


def _bars(axes: Any, names: list[str], intervals: list[Interval], colours: list[Any]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="x", linewidth=0.4)
    for row, (interval, colour) in enumerate(zip(intervals, colours, strict=True)):
        axes.plot([interval.value], [row], "o", color=colour)
        if interval.low is not None:
            axes.plot([interval.low, interval.high], [row, row], color=colour, linewidth=4, alpha=0.5)


def _line(axes: Any, name: str, curve: tuple[tuple[float, Interval], ...], colour: Any) -> None:
    steps = [point[0] for point in curve]
    axes.plot(steps, [interval.value for _, interval in curve], color=colour, label=name)
    if curve and curve[0][1].low is not None:
        low, high = [interval.low for _, interval in curve], [interval.high for _, interval in curve]
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    if count <= 10:
        return [colormaps["tab10"](index) for index in range(count)]
    return [colormaps["viridis"](index / (count - 1)) for index in range(count)]
