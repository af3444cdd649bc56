"""Inputs of ``fuzz.py``: odd values, and contents that differ a little from sound ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([10**9, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 10**400, -(2**63)]),
    st.floats(),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20))
VALUES = st.recursive(
    SCALARS, lambda of: st.lists(of, max_size=4) | st.dictionaries(st.text(max_size=8), of, max_size=4), max_leaves=8
)
_ODD = """&a |*a|<<: *a|!!python/object/apply:os.system [true]|!!binary aGk=|2001-99-99|? |- |: |---|...|!!set|1:2:3
1e999|.nan|&a [*a]|0b|0o9|=|>|'|"|%YAML 9.9|~|{a: 1, a: 2}"""
YAML_PARTS = st.sampled_from(
    [
        *re.split(r"[|\n]", _ODD),
        "0x" + "f" * 5000,
        "1" * 5000,
        "[" * 300,
        "{" * 300,
        "\t",
        "\0",
        "|",
        "\ufeff",
        "\x85",
    ]
)


@st.composite
def spoilt(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes like *content*, more or less."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        how = draw(st.sampled_from(["flip", "set", "cut", "drop", "insert", "repeat", "number"]))
        if how == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "set":
            data[at : at + 4] = draw(st.binary(min_size=4, max_size=4))
        elif how == "cut":
            del data[at:]
        elif how == "drop":
            del data[at : at + draw(st.integers(1, 64))]
        elif how == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif how == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 64))]
        elif digits := [i for i, byte in enumerate(data[:4096]) if chr(byte).isdigit()]:
            at = draw(st.sampled_from(digits))
            data[at : at + 1] = str(draw(st.sampled_from([0, 9, 10**6, 10**12, 2**62, -1]))).encode()
    return bytes(data)


def edited(draw: Callable[..., Any], content: Any) -> Any:
    """A JSON value with one value of it, at any depth, replaced, left out or added."""
    if isinstance(content, dict) and content and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(content)))
        if draw(st.integers(0, 9)) == 0:
            return {name: value for name, value in content.items() if name != key}
        return {**content, key: edited(draw, content[key])}
    if isinstance(content, list) and content and draw(st.integers(0, 3)):
        at = draw(st.integers(0, len(content) - 1))
        return [*content[:at], edited(draw, content[at]), *content[at + 1 :]]
    if isinstance(content, np.ndarray):
        return draw(arrays_like(content))
    return draw(VALUES)


@st.composite
def arrays_like(draw: st.DrawFn, array: Any) -> Any:
    """An array of other values, another shape or another type."""
    how = draw(st.sampled_from(["value", "value", "value", "shape", "dtype", "empty", "scalar"]))
    changed = np.array(array)
    if how == "value" and changed.size:
        odd = [0, 1, 7, -1, 255] + ([np.nan, np.inf, -np.inf, 1e30] if changed.dtype.kind == "f" else [2**31, 2**62])
        value = np.array(draw(st.sampled_from(odd)))
        at = draw(st.one_of(st.integers(0, changed.size - 1), st.just(slice(None))))
        changed.reshape(-1)[at] = value.astype(changed.dtype)
    elif how == "shape":
        changed = np.resize(changed, draw(st.lists(st.integers(0, 9), max_size=3)))
    elif how == "dtype":
        changed = changed.astype(draw(st.sampled_from(["f4", "f8", "i4", "u8", "?", "i8"])), copy=True)
    elif how == "empty" and changed.ndim:
        changed = changed[:0]
    elif how == "scalar":
        changed = np.array(draw(st.integers(-5, 5)))
    return changed


def attempts(target: Callable[[Any], None], count: int, base: int) -> None:
    """Call *target* with the draws of so many inputs."""

    @seed(base)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(st.data())
    def attempt(data: Any) -> None:
        target(data.draw)

    attempt()
