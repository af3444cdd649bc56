"""The units that crossover and mutation move as one: bits, genes or segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from genoevo._check import check_choice
from genoevo._types import Ints
from genoevo.layout import Layout

Granularity = Literal["bit", "gene", "segment"]
_KINDS = get_args(Granularity)


@dataclass(frozen=True, slots=True)
class Units:
    """The units at the beginning of each of n rows.

    ``counts`` (n,): units per row. ``size``: bits of a unit if all are equal. ``ends`` (n, most + 1): otherwise,
    the bits before and with each unit.
    """

    counts: Ints
    size: int = 0
    ends: Ints | None = None

    def bits(self, units: Ints) -> Ints:
        """Return the bits in the first ``units[i, j]`` units of row i, (n, k) int64."""
        if self.size == 1:
            return units
        return units * self.size if self.ends is None else np.take_along_axis(self.ends, units, axis=1)


def shared_units(first: Ints, second: Ints, granularity: Granularity, layout: Layout | None) -> Units:
    """Return the units that genotypes of *first* and of *second* bits (n,) have in common, at the same places.

    Raises ValueError for an unknown granularity, one that needs a layout if none is given, and a length that is not
    legal in the layout.
    """
    check_choice("granularity", granularity, _KINDS)
    common = np.minimum(first, second)
    if granularity == "bit":
        return Units(common, size=1)
    if layout is None:
        raise ValueError(f"granularity {granularity!r} needs a layout")
    lengths, which = np.unique(np.stack([first, second]), return_inverse=True)
    sizes = [layout.stage(int(length)) for length in lengths]
    if granularity == "gene":
        return Units(common // layout.precision, size=layout.precision)
    segments = [layout.segments(size) for size in sizes]
    table = np.full((len(lengths), max(map(len, segments), default=0) + 1), -1, dtype=np.int64)
    table[:, 0] = 0
    for row, spans in zip(table, segments, strict=True):
        row[1 : len(spans) + 1] = [span.stop for span in spans]
    ends, others = table[which.reshape(2, -1)]
    alike = (ends == others) & (ends >= 0)
    return Units(np.logical_and.accumulate(alike, axis=1).sum(axis=1) - 1, ends=ends)


def units_of(lengths: Ints, granularity: Granularity, layout: Layout | None) -> Units:
    """Return the units of genotypes of the given lengths (n,); raise what :func:`shared_units` raises."""
    return shared_units(lengths, lengths, granularity, layout)
