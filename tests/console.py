"""The commands that the documentation shows, as small as a test can afford them.

``python tests/console.py README.rst`` prints those of a page, one a line, for ``tests/wheel.sh``; ``tests/docs`` runs
them.
"""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

LARGE = {"mt10", "mt25", "mt50", "demo", "synthetic"}
"""Presets and suites that give way to the preset smoke: two of Meta-World's tasks, networks of 16."""
LESS = {"--episodes": 1, "--height": 120}
"""Options whose value is lowered to this."""


def typed(text: str) -> Iterator[str]:
    """The commands of a block ``console``: what follows ``$``, with lines that end in a backslash joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    return (match.group(1) for match in re.finditer(r"^[ \t]*\$ (.+)$", joined, re.MULTILINE))


def words_of(command: str) -> list[str]:
    """A command's words, without a comment and without what follows a redirection."""
    words = shlex.split(command, comments=True)
    return words[: words.index(">")] if ">" in words else words


class Smaller:
    """Makes commands small, in the order in which they are typed: what is gone on with goes on to more and more."""

    def __init__(self) -> None:
        self._steps = itertools.count(120, 40)
        self._generations = itertools.count(100, 100)

    def __call__(self, words: list[str]) -> list[str]:
        """The same command on smaller things; one that is small already is left alone."""
        if words[1:3] == ["mega", "train"]:
            return self._training(words)
        if words[1:3] == ["mega", "resume"]:
            return [*_without(words, "--steps"), "--steps", str(next(self._steps))]
        if words[1:3] == ["mega", "sweep"]:
            return [*_without(words, "--dry-run", flag=True), "--dry-run"]
        if words[1:2] == ["evolve"]:
            return [*_without(words, "--generations"), "--generations", str(next(self._generations))]
        pairs = zip(words, ["", *words], strict=False)
        return [str(min(int(word), LESS[before])) if before in LESS else word for word, before in pairs]

    def _training(self, words: list[str]) -> list[str]:
        large = [i for i, word in enumerate(words) if word in LARGE and words[i - 1] in ("--preset", "--suite")]
        kept = [word for i, word in enumerate(words) if i not in large and i + 1 not in large]
        if "--preset" not in kept:
            kept += ["--preset", "smoke"]
        for option in ("--steps", "--minutes"):
            kept = _without(kept, option)
        return [*kept, "--steps", str(next(self._steps))]


def _without(words: list[str], option: str, *, flag: bool = False) -> list[str]:
    if option not in words:
        return words
    at = words.index(option)
    return words[:at] + words[at + (1 if flag else 2) :]


if __name__ == "__main__":
    smaller = Smaller()
    for command in typed(Path(sys.argv[1]).read_text(encoding="utf-8")):
        words = words_of(command)
        if words[0] == "genoevo":
            small = words if "sweep" in words else smaller(words)  # the study itself is made small
            if "train" not in words:  # what was not trained there is looked at in runs/a
                small = [re.sub(r"^runs/[\w-]+$", "runs/a", word) for word in small]
            print(shlex.join(small))
