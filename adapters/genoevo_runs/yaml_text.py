"""YAML as the core schema of version 1.2 reads it; PyYAML alone reads version 1.1.

So ``on``, ``off``, ``yes`` and ``no`` are words, ``1:30`` and ``2001-01-01`` are text, ``1e-3`` is a
number, and ``010`` is ten. Beyond the core schema, a number may have underscores between its digits,
as in ``20_000_000``, and ``<<`` merges a mapping.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_LARGEST = 10_000  # values of a config file; there are some 90 settings
_TAG = "tag:yaml.org,2002:"
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_INT = re.compile(rf"(?:[-+]?{_DIGITS}|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(
    rf"(?:[-+]?(?:\.{_DIGITS}|{_DIGITS}(?:\.(?:{_DIGITS})?)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
_PLAIN = {  # the form of each type of plain text, and the characters that it begins with
    "null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    "bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), [*"tTfF"]),
    "int": (_INT, [*"-+0123456789"]),
    "float": (_FLOAT, [*"-+.0123456789"]),
    "merge": (re.compile(r"<<\Z"), ["<"]),
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's own, replaced


class _Dumper(yaml.SafeDumper):
    """Quotes text that either version would read as another type."""


def load(text: str) -> Any:
    """Return one document, read by the safe loader; ValueError if *text* is not one.

    Aliases may repeat a part, but not so often that a short text unfolds to a long one.
    """
    loader = None
    try:
        loader = _Loader(text)
        document = loader.get_single_node()
        left, count = [document] if document else [], 0
        while left:
            node, count = left.pop(), count + 1
            if count > _LARGEST:
                raise ValueError(f"it unfolds to more than {_LARGEST:,} values")
            if isinstance(node, yaml.MappingNode):
                left += [part for pair in node.value for part in pair]
                names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
                if twice := {name for name in names if names.count(name) > 1}:
                    raise ValueError(f"{min(twice)} is given twice")
            elif isinstance(node, yaml.SequenceNode):
                left += node.value
        return loader.construct_document(document) if document else None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, AttributeError, TypeError) as error:
        # YAMLError, and what Python raises for impossible dates and numbers and for endless nesting.
        raise ValueError(" ".join(str(error).split())) from None
    finally:
        if loader is not None:
            loader.dispose()


def dump(content: Any) -> str:
    """Return *content*, of dicts, lists and plain values, as YAML that :func:`load` reads as the same."""
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False))


def _int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    if not _INT.match(text):  # a tag may ask for a number where there is none
        raise ValueError(f"{text!r} is not a whole number")
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node))
    if not _FLOAT.match(text):
        raise ValueError(f"{text!r} is not a number")
    return float(re.sub(r"\.(?=[a-df-zA-DF-Z])", "", text))  # Python's inf and nan have no dot


for _type, (_form, _beginnings) in _PLAIN.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"{_TAG}{_type}", _form, _beginnings)
_Loader.add_constructor(f"{_TAG}int", _int)
_Loader.add_constructor(f"{_TAG}float", _float)
