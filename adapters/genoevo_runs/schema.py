"""What a setting may be, in words, from the JSON schema that pydantic makes of its model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

_ONE = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "object": "values by name",
    "null": "null",
}
_SEVERAL = {"integer": "whole numbers", "number": "numbers", "string": "texts"}

Schema = dict[str, Any]


def allowed(model: type[BaseModel], place: Sequence[int | str]) -> str:
    """Return what the setting at *place*, pydantic's ``loc``, may be, to follow "must be".

    Parts of *place* that name a type of a union are passed over.
    """
    schema = model.model_json_schema()
    field = schema
    for part in place:
        field = _inside(field, part, schema.get("$defs", {})) or field
    return _words(_target(field, schema.get("$defs", {})))


def _inside(field: Schema, part: int | str, definitions: Schema) -> Schema | None:
    field = _target(field, definitions)
    if "anyOf" in field:
        return next((found for each in field["anyOf"] if (found := _inside(each, part, definitions))), None)
    other = field.get("items" if isinstance(part, int) else "additionalProperties")
    found = field.get("properties", {}).get(part, other)
    return found if isinstance(found, dict) else None


def _target(field: Schema, definitions: Schema) -> Schema:
    return definitions[field["$ref"].rpartition("/")[2]] if "$ref" in field else field


def _words(field: Schema) -> str:
    if "allowed" in field:
        return str(field["allowed"])
    if "anyOf" in field:
        return " or ".join(map(_words, field["anyOf"]))
    if "enum" in field:
        *others, last = field["enum"]
        return f"{', '.join(others)} or {last}" if others else str(last)
    if field.get("type") == "array":
        each = (
            _words(field["items"]) if "enum" in field["items"] else _SEVERAL.get(field["items"].get("type"), "values")
        )
        return f"a list of {each}{f', at least {least} of them' if (least := field.get('minItems')) else ''}"
    return _ONE.get(field.get("type", ""), "of another type")
