"""All code of the README, docs/, studies/ and benchmarks/ runs. What cannot is named here, with the reason."""

import re
import shlex
import shutil
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

import click
import pytest
import yaml

from genoevo_cli.main import cli
from tests import pages
from tests.console import Smaller, typed, words_of
from tests.pages import PAGES, ROOT

NOT_RUN = {
    r"genoevo mega watch .*": "serves until Ctrl-C; tests/mega/test_watch.py",
    r"python studies/.*": "asks for runs of hours; tests/mega/test_studies.py",
    r"genoevo mega (evaluate|export) runs/frugal .*": "small runs have no frontier; tests/mega/test_frontier.py",
    r"python benchmarks/.*": "takes a minute and packages to compare with; tests/engine/test_benchmark.py",
    r"python validation/.*": "minutes, and the package of the PBO suite",
    r"python examples/architecture_search\.py": "minutes; tests/examples",
    r"python examples/spread_fitness\.py .*": "starts processes or Ray; tests/examples",
    r"ray (start|get-auth-token) .*|export RAY_.*": "needs the machines of a cluster",
    r"genoevo mega (train|resume) .*compute\.rollouts=ray.*": "needs Ray; tests/cluster/test_page.py",
    r"make \w+(-\w+)*( [A-Z]+=.*)?": "its target is looked up",
    r"git clone <this repository> genoevo && cd genoevo": "there is no address yet",
    r"pip install .*": "needs the network; its extras are looked up, tests/wheel.sh installs",
    r"ray (get-auth-token --generate|status|stop)": "tests/cluster/test_walkthrough.py",
    r"genoevo mega resume runs/b .*compute\.rollouts=ray.*": "tests/cluster/test_walkthrough.py",
    r"scp .*": "tests/cluster/test_walkthrough.py",
}
"""Commands that are shown and not run, as patterns; those of genoevo are parsed all the same."""


def not_run(command):
    return next((pattern for pattern in NOT_RUN if re.fullmatch(pattern, command)), None)


def commands_of(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    return [" ".join(words_of(command)) if "<" not in command else command for command in typed(text)]


ALL_COMMANDS = [(page, command) for page in PAGES for command in commands_of(page)]
INLINE = [
    (page, match.replace("\n", " "))
    for page in PAGES
    for match in re.findall(r"``(genoevo [^`]+)``", (ROOT / page).read_text(encoding="utf-8"))
]


class Terminal:
    """Runs the commands of a page, small, in the working directory."""

    def __init__(self, copy_of_run):
        self.smaller, self.copy_of_run = Smaller(), copy_of_run

    def __call__(self, example):
        for command in typed(example.parsed):
            words = words_of(command)
            if not_run(" ".join(words)) or "<" in command:
                continue
            assert words[0] == "genoevo", f"{example.path}: who runs {command!r}? See NOT_RUN"
            self.genoevo(self.smaller(words))

    def genoevo(self, words):
        if words[1:3] not in (["mega", "train"], ["mega", "sweep"], ["mega", "unpack"]):
            for word in words:
                if re.match(r"(runs|sweeps)/[\w-]+$", word):
                    self.copy_of_run(Path(word))
        for at, word in enumerate(words):
            if at and words[at - 1] in ("--out", "--picture", "--plot", "--report", "--state"):
                Path(word).parent.mkdir(parents=True, exist_ok=True)
        with pytest.raises(SystemExit) as stop:
            cli.main(words[1:], prog_name="genoevo")
        assert not stop.value.code, shlex.join(words)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty directory to work in, as a user has one: with the studies, and searched for modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    for variable in ("GENOEVO_ALLOW_SUITE", "GENOEVO_ALLOW_ARCHITECTURE", "GENOEVO_ALLOW_PROBLEM"):
        monkeypatch.setenv(variable, "")
    shutil.copytree(ROOT / "studies", "studies", ignore=shutil.ignore_patterns("results"))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_code_of_a_page_runs(page, place, copy_of_run):
    parsers = [
        pages.blocks("console", Terminal(copy_of_run)),
        pages.blocks("yaml", lambda e: yaml.safe_load(e.parsed)),
    ]
    if page in pages.OF_THE_ENGINE:  # whose Python runs in tests/engine; its files are needed here, too
        parsers.append(pages.blocks("python", lambda example: None))
    else:
        parsers += pages.python()
    pages.run(page, parsers)


def test_every_block_of_code_says_its_language():
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        languages = re.findall(r"\.\. code-block:: *(\S*)", text)
        assert set(languages) <= set(pages.LANGUAGES), page
        unnamed = re.search(r"^(?!\s*\.\. ).*::\n\n +\S", text, re.MULTILINE)
        assert unnamed is None, f"{page}: {unnamed}"


def parse(words):
    """Let click check a command, without running it; UsageError where it refuses."""
    command, context, (name, *rest) = cli, None, words
    while isinstance(command, click.Group) and rest:
        context = click.Context(command, info_name=name, parent=context)
        name, *rest = rest
        group, command = command, command.get_command(context, name)
        if command is None:
            raise click.NoSuchCommand(name, group.list_commands(context), ctx=context)
    if not isinstance(command, click.Group):
        command.make_context(name, rest, parent=context)


@pytest.mark.parametrize(("page", "command"), [case for case in ALL_COMMANDS if case[1].startswith("genoevo")])
def test_every_command_is_one_that_there_is(page, command, place):
    parse(words_of(command))


@pytest.mark.parametrize(("page", "command"), INLINE)
def test_commands_within_a_sentence_have_options_that_there_are(page, command, place):
    # A sentence names what it is about, no more: an argument may be missing, or an option's value.
    with suppress(click.MissingParameter, click.BadOptionUsage):
        parse([word for word in words_of(command) if word != "..."])


def test_a_wrong_command_would_be_noticed():
    with pytest.raises(click.NoSuchCommand):
        parse(["genoevo", "mega", "trian"])
    with pytest.raises(click.NoSuchOption):
        parse(["genoevo", "mega", "train", "--presets", "demo"])


def test_whatever_is_not_run_is_shown_somewhere():
    shown = [command for _, command in ALL_COMMANDS]
    assert [pattern for pattern in NOT_RUN if not any(re.fullmatch(pattern, command) for command in shown)] == []


def test_every_target_and_extra_that_is_named_exists():
    text = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:``|\$ )make ([\w -]+?)(?:``|$| +#| [A-Z]+=)", text, re.MULTILINE))
    assert {name for names in named for name in names.split()} <= targets
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    asked = {extra for found in re.findall(r"(?:genoevo|\.)\[([\w,]+)\]", text) for extra in found.split(",")}
    assert asked <= extras
    assert {"mega", "ray"} <= asked
