"""Typed settings: their base class, how they are read, merged and explained."""

from __future__ import annotations

import re
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator

from genoevo_runs import yaml_text
from genoevo_runs.errors import ConfigError, abbreviated, nearest
from genoevo_runs.schema import allowed

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]

_WORDS = {"yes", "no", "on", "off"}  # truth values in YAML 1.1, words since
_DEEPEST = 4  # parts of a dotted name
_OTHER_TYPES = {"tuple_type", "list_type", "too_short", "string_type", "dict_type", "model_type", "dataclass_type"}
"""The errors, of pydantic, whose messages name types of Python or but one of those that are allowed."""
_TYPE = re.compile(r"str|int|float|bool|constrained-\w+|list\[.*\]")  # as pydantic names it


class Settings(BaseModel):
    """A group of settings: unknown names and non-finite numbers are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
    compared: ClassVar[bool] = True
    """Whether two runs that differ in this group are runs of different settings."""

    @model_validator(mode="wrap")
    @classmethod
    def _nothing_is_cast(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        made = handler(given)
        if isinstance(given, dict):
            for name, value in given.items():
                _refuse_casts(str(name), value, getattr(made, str(name), None))
        return made


def _refuse_casts(name: str, given: Any, taken: Any) -> None:
    """Raise ValueError if a value in *given* was made one of another kind in *taken*: ``true`` 1, or ``'3'`` 3.

    A truth value may be written as YAML 1.1 has it, too: ``yes``, ``no``, ``on``, ``off``.
    """
    kinds = _kind(given), _kind(taken)
    word = isinstance(taken, bool) and isinstance(given, str) and given.lower() in _WORDS
    if kinds[0] != kinds[1] and None not in kinds and not word:
        raise ValueError(f"{name} = {abbreviated(given)}: must be {kinds[1]}")
    if isinstance(given, list | tuple) and isinstance(taken, list | tuple):
        for one, other in zip(given, taken, strict=False):
            _refuse_casts(name, one, other)
    if isinstance(given, dict):
        for part, value in given.items():
            found = taken.get(part) if isinstance(taken, dict) else getattr(taken, str(part), None)
            _refuse_casts(f"{name}.{part}", value, found)


def _kind(value: Any) -> str | None:
    """Return what kind of value a setting is, for a message; None for lists, groups and null."""
    if isinstance(value, bool):
        return "true or false"
    return "text" if isinstance(value, str) else "a number" if isinstance(value, Real) else None


def comparable(config: BaseModel) -> dict[str, Any]:
    """Return those settings in which runs must agree to be runs of the same settings, as a nested dict."""
    groups = type(config).model_fields
    return config.model_dump(
        exclude={name for name in groups if not getattr(groups[name].annotation, "compared", True)}
    )


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings of a YAML file (:mod:`genoevo_runs.yaml_text`) as nested dicts.

    ConfigError if it cannot be read.
    """
    try:
        content = yaml_text.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path} cannot be read: {error}") from None
    except ValueError as error:
        raise ConfigError(f"config file {path} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"config file {path} must hold settings by name, got {type(content).__name__}")
    return content


def parse_setting(text: str) -> dict[str, Any]:
    """Return a setting such as ``sac.batch_size=64`` as a nested dict; the value is read as YAML.

    ConfigError for any other form.
    """
    name, equals, value = text.partition("=")
    parts = name.strip().split(".")
    if not equals or not all(parts) or len(parts) > _DEEPEST:
        raise ConfigError(f"--set {text!r}: must have the form name=value, for example sac.batch_size=64")
    try:
        parsed: Any = yaml_text.load(value)
    except ValueError:
        raise ConfigError(f"--set {text!r}: the value {value!r} is not valid YAML") from None
    return nested({name.strip(): parsed})


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings by dotted names as nested dicts: ``{"sac": {"tau": 0.01}}`` for ``{"sac.tau": 0.01}``."""
    layers = []
    for name, value in settings.items():
        layer: Any = nested(value) if isinstance(value, dict) else value
        for part in reversed(str(name).split(".")):
            layer = {part: layer}
        layers.append(layer)
    return merge(*layers)


def merge(*layers: dict[str, Any]) -> dict[str, Any]:
    """Return nested dicts of settings as one; later layers override earlier ones and none is changed."""
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge(merged, layer)
    return merged


def _merge(target: dict[str, Any], layer: dict[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = dict(value) if isinstance(value, dict) else value


def explain(error: ValidationError, model: type[BaseModel], known: list[str]) -> str:
    """Return one line on the first error of *model*: the setting, its value and what is allowed.

    An unknown name is answered with the nearest of the *known* ones.
    """
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        shown = name if name.isprintable() and len(name) <= 80 else abbreviated(name)
        return f"{shown} is not a setting{nearest(name, known)}"
    # Of a setting that may be of several types, a part of the name is the type that did not fit.
    top, *below = map(str, first["loc"] or ("",))
    name = ".".join([top, *(part for part in below if not _TYPE.fullmatch(part))])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":  # raised by a validator here, which names the setting and its value
        return f"{name}.{message}" if name else message
    hint = ""
    if first["type"] in _OTHER_TYPES:
        message = f"must be {allowed(model, first['loc'])}"
    if first["type"] == "literal_error":
        hint = nearest(str(first["input"]), re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    return f"{name} = {abbreviated(first['input'])}: {message[0].lower()}{message[1:]}{hint}"


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names."""
    values: dict[str, Any] = {}
    for name, value in settings.items():
        dotted = f"{prefix}{name}"
        values |= flat(value, f"{dotted}.") if isinstance(value, dict) else {dotted: value}
    return values
