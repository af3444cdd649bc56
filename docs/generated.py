"""Directives of Sphinx whose content is made of the code when the documentation is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def add_directive(app: Any, name: str, lines: Callable[[], list[str]]) -> None:
    """Add the directive *name*, which puts the reStructuredText of *lines* in its place."""
    from docutils import nodes
    from docutils.parsers.rst import Directive
    from docutils.statemachine import StringList
    from sphinx.util.nodes import nested_parse_with_titles

    class Generated(Directive):
        def run(self) -> list[nodes.Node]:
            self.state.document.settings.env.note_reread()  # the page's source never changes
            found = nodes.section()
            found.document = self.state.document
            nested_parse_with_titles(self.state, StringList(lines(), source=name), found)
            return found.children

    app.add_directive(name, Generated)
