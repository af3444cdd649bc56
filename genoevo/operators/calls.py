"""How own operators get random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any, Literal

import numpy as np

Way = Literal["by place", "by name", "not"]
_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def way_of(operator: Callable[..., Any], given: int) -> Way:
    """Return how *operator* takes the search's generator after *given* arguments.

    It may be a parameter called ``rng``, or one more that is required. TypeError says what else the parameter at its
    place is, or that there are too few.
    """
    try:
        parameters = list(signature(operator).parameters.values())
    except ValueError:  # of a builtin
        return "by place"
    by_place = [each for each in parameters if each.kind in _BY_PLACE]
    if any(each.kind is Parameter.VAR_POSITIONAL for each in parameters):
        return "by place"
    if len(by_place) < given:
        raise TypeError(f"it takes {len(by_place)} arguments, not {given}")
    names = [each.name for each in by_place]
    if "rng" in names[:given]:
        raise TypeError("rng must come after what the operator works on")
    if any(each.name == "rng" for each in parameters) and names[given : given + 1] != ["rng"]:
        return "by name"
    if len(by_place) == given:
        return "not"
    after = by_place[given]
    if after.name != "rng" and after.default is not Parameter.empty:
        raise TypeError(f"{after.name!r} has the place of the generator: call that rng, or give settings by partial")
    return "by place"


def called(operator: Callable[..., Any], given: tuple[Any, ...], rng: np.random.Generator) -> Any:
    """Call *operator* with what is *given*, and with *rng* if it takes one."""
    way = way_of(operator, len(given))
    if way == "by name":
        return operator(*given, rng=rng)
    return operator(*given, *([rng] if way == "by place" else []))


@contextmanager
def global_generators(rng: np.random.Generator) -> Iterator[None]:
    """Have Python's and numpy's global generators draw what follows from *rng*, and put them back after it."""
    before, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    seed = int(rng.integers(1 << 32))
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpys)  # noqa: NPY002
