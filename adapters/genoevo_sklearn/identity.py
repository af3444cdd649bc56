"""The text by which a checkpoint knows a setting: equal in every process for equal settings."""

from __future__ import annotations

import re
import sys
from dataclasses import fields, is_dataclass
from functools import partial
from hashlib import sha256
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

import joblib
import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
_EMPTY = CellType()
_PRINTED: dict[str, Any] = {  # numpy's own defaults, whatever a program has set
    **{"precision": 8, "threshold": 1000, "edgeitems": 3, "linewidth": 75, "suppress": False, "sign": "-"},
    **{"nanstr": "nan", "infstr": "inf", "floatmode": "maxprec", "formatter": None},
}


def text_of(value: Any, within: Any = None) -> str:
    """Return the repr of *value* without addresses, of an estimator with its parameters, and a digest of the rest.

    The digest is of the functions in *within*, None for *value* itself, with their defaults and closures, of objects
    that can be called, of arrays whose repr leaves out entries or digits, and of tables. Without such there is none.
    A function of an installed package is known by its name.
    """
    walk = _Walk()
    with np.printoptions(**_PRINTED):
        text = walk.text(value if within is None else within)
        shown = type(value).__name__ if walk.has_tables else _shown(value)
    # The digest comes first: a refusal shows the beginning.
    return f"code {sha256(text.encode()).hexdigest()[:16]} of {shown}" if walk.has_more else shown


def _shown(value: Any) -> str:
    if not _is_estimator(value):
        return _ADDRESS.sub("", repr(value))
    if type(value).__repr__ is BaseEstimator.__repr__:
        return _ADDRESS.sub("", value.__repr__(N_CHAR_MAX=10**9))
    # A repr of its own may leave parameters out.
    listed = ", ".join(f"{name}={_shown(one)}" for name, one in sorted(value.get_params(deep=False).items()))
    return f"{type(value).__name__}({listed})"


class _Walk:
    """The text of all that a value holds.

    *has_more* tells whether there was something that a repr leaves out, and *has_tables* whether there was a data
    frame or a sparse matrix, whose repr depends on the terminal.
    """

    def __init__(self) -> None:
        self.has_more = self.has_tables = False
        self._open: set[int] = set()

    def text(self, value: Any) -> str:
        if id(value) in self._open:  # a function that calls itself
            return "..."
        self._open.add(id(value))
        try:
            return self._text(value)
        finally:
            self._open.discard(id(value))

    def _text(self, value: Any) -> str:
        if isinstance(value, np.ndarray):
            self.has_more |= not _is_printed_whole(value)
            if not value.dtype.hasobject:
                return str(joblib.hash(np.ascontiguousarray(value)))
        if isinstance(value, set | frozenset):  # their order is another one in every process
            return f"{{{', '.join(sorted(map(self.text, value)))}}}"
        name, parts = type(value).__qualname__, self._parts(value)
        return _shown(value) if parts is None else f"{name}({', '.join(map(self.text, parts))})"

    def _parts(self, value: Any) -> list[Any] | None:
        """Return what *value* consists of, None if its repr is all."""
        if isinstance(value, FunctionType):
            return self._parts_of_function(value)
        if isinstance(value, CodeType):
            return [value.co_code, value.co_names, value.co_consts]
        if isinstance(value, MethodType):
            return [value.__func__, value.__self__]
        if isinstance(value, partial):
            return [value.func, value.args, value.keywords]
        if isinstance(value, dict):
            return [part for pair in value.items() for part in pair]
        if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
            return list(value)
        if isinstance(value, type | np.generic):
            return None
        if issparse(value) or hasattr(value, "__array__"):
            return self._parts_of_table(value)
        if _is_estimator(value):
            return [value.get_params(deep=False)]
        if callable(value) and hasattr(value, "__dict__"):
            return [_shown(value), type(value).__call__, vars(value)]
        if is_dataclass(value):
            return [getattr(value, field.name) for field in fields(value)]
        return None

    def _parts_of_table(self, value: Any) -> list[Any] | None:
        """Return what a sparse matrix, a data frame, a series or a tensor consists of, None if it cannot be read."""
        self.has_tables = self.has_more = True
        if issparse(value):
            rows = value.tocsr(copy=True)
            rows.sum_duplicates()
            return [rows.shape, rows.data, rows.indices, rows.indptr]
        try:
            if hasattr(value, "columns"):
                columns = [(name, str(value[name].dtype), np.asarray(value[name])) for name in value.columns]
                return [*columns, np.asarray(getattr(value, "index", 0))]
            array = np.asarray(value)
        except Exception:  # an object's own conversion
            return None
        return [str(getattr(value, "dtype", "")), array] if array.ndim or not array.dtype.hasobject else None

    def _parts_of_function(self, function: FunctionType) -> list[Any]:
        if _is_installed(function):
            return [function.__module__, function.__qualname__]
        self.has_more = True
        cells = [cell.cell_contents for cell in function.__closure__ or () if cell != _EMPTY]
        return [function.__qualname__, function.__code__, function.__defaults__, function.__kwdefaults__, cells]


def _is_printed_whole(array: np.ndarray) -> bool:
    """Return whether the repr of *array* has all of its entries and digits."""
    if array.size > _PRINTED["threshold"]:
        return False
    if array.dtype.kind != "f":
        return array.dtype.kind != "c"
    digits = _PRINTED["precision"]
    return all(one == round(one, digits) == float(f"{one:.{digits}e}") for one in array.reshape(-1).tolist())


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _is_installed(function: FunctionType) -> bool:
    module = getattr(sys.modules.get(function.__module__), "__file__", None)
    files = str(module), function.__code__.co_filename
    return "<locals>" not in function.__qualname__ and all(_INSTALLED.search(file) for file in files)
