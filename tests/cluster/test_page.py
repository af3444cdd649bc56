import re
from pathlib import Path

import pytest

from genoevo_cli.main import cli
from tests.console import Smaller, typed, words_of

PAGE = Path(__file__).parents[2] / "docs" / "how_to" / "runs" / "cluster.rst"
WORKERS = {"8": "2", "22": "5"}
"""Workers on the page's machines, of eight cores each, and on ours, of two."""


@pytest.mark.usefixtures("three_nodes")
def test_the_commands_of_the_page_run_on_a_cluster_of_three_machines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    smaller = Smaller()
    text = re.sub(r"(?<=workers[= ])\d+", lambda found: WORKERS[found[0]], PAGE.read_text())
    commands = [words_of(command) for command in typed(text)]
    commands = [smaller(words)[1:] for words in commands if words[0] == "genoevo"]
    assert sum("compute.rollouts=ray" in words for words in commands) == 2
    for words in commands:
        with pytest.raises(SystemExit) as stop:
            cli.main(words, prog_name="genoevo")
        assert not stop.value.code, capsys.readouterr().err
