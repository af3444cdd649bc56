"""The pages whose code is tested, and how it is run: the Python of a page in one namespace, from top to bottom.

A block with a ``:caption:`` is a file of that name, which is written and not run. The scripts that a page includes
lie beside it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from sybil import Example
from sybil.document import Document
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.rest import CodeBlockParser, DocTestParser
from sybil.typing import Parser

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page.relative_to(ROOT) for top in ("docs", "studies", "benchmarks") for page in (ROOT / top).rglob("*.rst")
)
PAGES = [Path("README.rst"), *PAGES]
OF_THE_ENGINE = [
    Path("README.rst"),
    Path("docs/get_started/engine.rst"),
    *(Path("docs/tutorials") / f"{name}.rst" for name in ("first_search", "problem", "lengths", "operator")),
    *sorted(page.relative_to(ROOT) for page in (ROOT / "docs/how_to/engine").glob("*.rst")),
]
"""Their Python needs neither torch nor a command line, and is run where there is neither."""

LANGUAGES = ("python", "yaml", "console", "text")


def python() -> list[Parser]:
    """What finds and runs Python: doctests and blocks ``python``."""
    return [DocTestParser(), blocks("python", PythonEvaluator())]


def blocks(language: str, run: Callable[[Example], object]) -> CodeBlockParser:
    """What finds the blocks of a language; those that are files are written, the others go to *run*."""

    def evaluate(example: Example) -> str | None:
        name = example.region.lexemes["options"].get("caption")
        if name is None:
            run(example)
        else:
            Path(name).write_text(example.parsed, encoding="utf-8")
        return None

    return CodeBlockParser(language, evaluate)


def run(page: Path, parsers: Iterable[Parser]) -> int:
    """Run what *parsers* find in a page, in the working directory; how many pieces of code that were."""
    document = Document.parse(str(ROOT / page), *parsers)
    document.namespace["__name__"] = "__main__"
    for script in re.findall(r"literalinclude:: (\S+)", document.text):
        shutil.copy((ROOT / page).parent / script, Path.cwd())
    examples = list(document.examples())
    for example in examples:
        example.evaluate()
    return len(examples)
