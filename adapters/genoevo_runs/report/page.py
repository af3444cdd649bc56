"""The HTML page: data, style and scripts in one file that loads nothing from the network."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

ASSETS = files("genoevo_runs.report") / "assets"
_SHARED = tuple(ASSETS / name for name in ("charts.js", "drawings.js"))
_SCRIPTS: dict[str, Traversable] = {}

# Nothing may be loaded. A page that is served may load its own data.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'"
LIVE_POLICY = f"{POLICY}; connect-src 'self'"


def register(kind: str, script: Traversable) -> None:
    """Register the script that draws pages of that kind; it may use ``charts.js`` and ``drawings.js``."""
    _SCRIPTS[kind] = script


def render(data: dict[str, Any], *, live: float | None = None) -> str:
    """Return the page of *data* as HTML.

    Parameters
    ----------
    data
        JSON values with at least ``kind``, which must be registered, and ``title``. Texts in them may hold any
        character.
    live
        Seconds after which the page loads ``data.json`` beside it again; None for a page that never changes.

    """
    scripts = "\n".join(_text(script) for script in (*_SHARED, _SCRIPTS[data["kind"]]))
    refresh = "" if live is None else f' data-live="{live:g}"'
    policy = POLICY if live is None else LIVE_POLICY
    return f"""<!doctype html>
<html lang="en"{refresh}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(data["title"])}</title>
<link rel="icon" href="data:,">
<style>
{_text(ASSETS / "page.css")}</style>
</head>
<body>
<noscript><p>This page draws its pictures with JavaScript, which is switched off here.</p></noscript>
<div id="page"></div>
<script type="application/json" id="data">{embedded(data)}</script>
<script>
{scripts}</script>
</body>
</html>
"""


def embedded(data: dict[str, Any]) -> str:
    """Return *data* as JSON in which no text can end the script element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _text(asset: Traversable) -> str:
    return asset.read_text(encoding="utf-8")
