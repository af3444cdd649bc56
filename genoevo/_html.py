"""The small tables by which notebooks show a search or a population."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_CELL = 'style="text-align: left"'


def table(title: str, rows: Mapping[str, object]) -> str:
    """Return an HTML table with a row for each name and its value."""
    body = "".join(
        f"<tr><th {_CELL}>{escape(name)}</th><td {_CELL}>{escape(str(rows[name]))}</td></tr>" for name in rows
    )
    return f"<table><caption>{escape(title)}</caption><tbody>{body}</tbody></table>"


def shortened(text: str, most: int = 64) -> str:
    """Return *text*, of which an ellipsis replaces what exceeds *most* characters."""
    return text if len(text) <= most else f"{text[:most]}..."
