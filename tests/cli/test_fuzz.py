"""Whatever genoevo evolve is given, as options or as a state file: a result or one line, and no traceback."""

import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import strategies as st

from genoevo.problems import PROBLEMS
from genoevo_cli.main import cli

VALUES = st.sampled_from(["0", "1", "2", "7", "12", "-1", "1e3", "0.5", "nan", "inf", "1" * 5000, "", "\0", "k=3"])
SMALL = st.integers(2, 40).map(str)
OPTIONS = ["--size", "--population", "--crossover-rate", "--mutation-rate", "--resize-rate", "--seed", "--every"]
SETTINGS = st.tuples(
    st.sampled_from(["k", "order", "instance", "neighbours", "infeasible", "size", "x", ""]),
    st.integers(-1, 12).map(str) | VALUES | st.sampled_from(["random", "adjacent", "repair", "penalty"]),
).map("=".join)


def run(arguments):
    """The exit code and the two streams; anything but SystemExit goes through."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    return stop.value.code, out.getvalue(), error.getvalue()


def check_outcome(arguments, codes):
    code, out, error = run(arguments)
    assert code in codes, error
    if code:
        assert out == ""
        assert error.startswith("genoevo: ")
        assert error.count("\n") == 1
        assert len(error) < 7000


@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_any_options_give_a_result_or_one_line(count, fuzz, little_memory):
    option = st.tuples(st.sampled_from(OPTIONS), SMALL | VALUES | st.text(max_size=5))
    chosen = st.tuples(
        st.sampled_from(sorted(PROBLEMS)), st.lists(option, max_size=3), st.lists(SETTINGS, max_size=2)
    )

    def check(value):
        problem, options, settings = value
        arguments = ["evolve", "--problem", problem, "--generations", "2", "--json"]
        arguments += [text for pair in options for text in pair]
        check_outcome(arguments + [text for setting in settings for text in ("--set", setting)], (0, 2))

    fuzz(check, count, chosen)


@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_any_state_file_gives_a_result_or_one_line_and_is_left_as_it_is(
    count, fuzz, damaged, little_memory, tmp_path
):
    whole, path = tmp_path / "whole.npz", tmp_path / "search.npz"
    begin = ["evolve", "--problem", "nk", "--size", "20", "--population", "6", "--generations", "3"]
    assert run([*begin, "--state", str(whole)])[0] == 0

    def check(data: bytes):
        path.write_bytes(data)
        check_outcome(["evolve", "--resume", str(path), "--generations", "3", "--json"], (0, 2))
        assert {entry.name for entry in Path(tmp_path).iterdir()} == {"whole.npz", "search.npz"}

    fuzz(check, count, damaged(whole))
