"""What a page looks like: its length and the length of its lines."""

import re
from itertools import groupby
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT

WRITTEN = sorted({*PAGES, Path("benchmarks/README.rst"), Path("validation/README.rst"), Path("CHANGELOG.rst")})
WORDS, COLUMNS = 1500, 100
REFERENCE = Path("docs/reference")


def prose_of(text):
    """The lines of a page with their numbers, without code, doctests and tables."""
    lines, code = list(enumerate(text.splitlines(), 1)), None
    for filled, block in groupby(lines, lambda numbered: bool(numbered[1].strip())):
        block = list(block)
        first = block[0][1]
        indent = len(first) - len(first.lstrip())
        if not filled or (code is not None and indent > code):
            continue
        code = indent if re.match(r"\s*\.\. (code-block|list-table)::", first) else None
        if code is None and not re.match(r"\s*(>>> |={3,} )", first):
            yield from block


@pytest.mark.parametrize("page", [page for page in WRITTEN if not page.is_relative_to(REFERENCE)], ids=str)
def test_a_page_is_read_in_one_sitting(page):
    assert len((ROOT / page).read_text(encoding="utf-8").split()) <= WORDS


@pytest.mark.parametrize("page", WRITTEN, ids=str)
def test_lines_of_prose_are_short(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [number for number, line in prose_of(text) if len(line) > COLUMNS] == []


def test_prose_is_what_is_neither_code_nor_table():
    text = """\
words

.. code-block:: python

   code = 1

   more = 2

>>> doctest
1

===== =====
a     table
===== =====

- a list

..  note:: more words
"""
    assert [line for _, line in prose_of(text)] == ["words", "- a list", "..  note:: more words"]
