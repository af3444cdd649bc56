"""Single values of one gene each: whole numbers, numbers and categories."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from genoevo._check import check_flag, check_number, is_whole, shown
from genoevo_sklearn.space.codes import MOST_BITS, Codes


class Decoded(NamedTuple):
    """A value, what is equal for equal values, and parameters that come with it."""

    value: Any
    key: Hashable
    also: dict[str, Any] = {}  # noqa: RUF012


class Dimension(Protocol):
    """The interface of what a value of the space comes from."""

    @property
    def genes(self) -> int:
        """The genes that every genotype has for it."""

    @property
    def levels(self) -> int:
        """The most values that one of its genes must tell apart."""

    def decoded(self, codes: Codes) -> Decoded:
        """Take its genes from *codes* and return the value."""


@dataclass(frozen=True)
class Integer:
    """A whole number from *low* to *high*, both included; with *log* evenly spaced in its logarithm.

    Of more than 65,536 numbers, those nearest to what a :class:`Float` has.
    """

    low: int
    high: int
    log: bool = False

    genes = 1

    def __post_init__(self) -> None:
        check_flag("log", self.log)
        if not (is_whole(self.low) and is_whole(self.high) and self.low < self.high):
            raise ValueError(
                f"an Integer takes two whole numbers, low < high, got {shown(self.low)}, {shown(self.high)}"
            )
        by_float = self.log or self.values > 1 << MOST_BITS
        if by_float and max(abs(int(self.low)), abs(int(self.high))) > 1 << 53:  # past which a float skips some
            needed = f"with log or more than {1 << MOST_BITS:,} numbers they must be up to 2**53"
            raise ValueError(f"{needed}, got {shown(self.low)}, {shown(self.high)}")
        if self.log and self.low < 1:
            raise ValueError(f"low must be at least 1 for a logarithmic scale, got {self.low}")

    @property
    def values(self) -> int:
        """How many numbers it has."""
        return int(self.high) - int(self.low) + 1

    @property
    def levels(self) -> int:
        """The number of values; 2 if no gene tells them all apart."""
        return self.values if self.values <= 1 << MOST_BITS else 2

    def decoded(self, codes: Codes) -> Decoded:
        """Return the value of the next gene."""
        if self.values > 1 << MOST_BITS:
            value = round(Float(int(self.low), int(self.high), self.log).decoded(codes).value)
            return Decoded(value, value)
        code = codes.next()
        if self.log:
            # Each whole number has its share of the logarithmic scale, also the first and the last.
            low, high = self.low - 0.5, self.high + 0.5
            value = round(low * (high / low) ** ((code + 0.5) / (codes.top + 1)))
            value = int(min(max(value, self.low), self.high))
        else:
            value = int(self.low) + code * self.levels // (codes.top + 1)
        return Decoded(value, value)


@dataclass(frozen=True)
class Float:
    """A number from *low* to *high*, both included, in even steps; with *log* even in its logarithm."""

    low: float
    high: float
    log: bool = False

    genes = 1
    levels = 2

    def __post_init__(self) -> None:
        check_flag("log", self.log)
        check_number("low", self.low)
        check_number("high", self.high)
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ValueError(f"a Float takes two finite numbers, low < high, got {self.low}, {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 for a logarithmic scale, got {self.low}")

    def decoded(self, codes: Codes) -> Decoded:
        """Return the value of the next gene."""
        code = codes.next()
        share = code / codes.top
        if share in (0, 1):
            return Decoded(float(self.high if share else self.low), code)
        value = self.low * (self.high / self.low) ** share if self.log else self.low + (self.high - self.low) * share
        return Decoded(float(value), code)


@dataclass(frozen=True)
class Categorical:
    """One of *options*, each with the same share of a gene's numbers, as far as they can be divided."""

    options: Sequence[Any]

    genes = 1

    def __post_init__(self) -> None:
        check_options(self.options)

    @property
    def levels(self) -> int:
        """The number of options."""
        return len(self.options)

    def decoded(self, codes: Codes) -> Decoded:
        """Return the option of the next gene."""
        place = codes.place(self.levels)
        return Decoded(self.options[place], place)


def check_options(options: Any) -> None:
    """Raise ValueError unless *options* is a list or tuple of two or more."""
    if not isinstance(options, list | tuple) or len(options) < 2:
        raise ValueError(f"options must be a list of at least 2, got {shown(options)}")
