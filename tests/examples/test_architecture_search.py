import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "architecture_search.py"
TINY = ["--seeds", "2", "--population", "6", "--generations", "3", "--epochs", "1", "--workers", "1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    picture = tmp_path_factory.mktemp("examples") / "picture.png"
    command = [sys.executable, "-W", "error", str(SCRIPT), *TINY, "--plot", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, picture


def test_both_methods_try_the_same_number_of_architectures(finished):
    tried = re.findall(r"^(evolution|random search) +mean .* (\d+) architectures a run$", finished[0], re.MULTILINE)
    assert tried == [("evolution", "14"), ("random search", "14")]


def test_each_run_reports_an_architecture_within_the_bounds(finished):
    rows = re.findall(r"^\S.* [12] .* \[([\d, ]+)\]$", finished[0], re.MULTILINE)
    assert len(rows) == 4
    for row in rows:
        widths = [int(width) for width in row.split(", ")]
        assert 1 <= len(widths) <= 6
        assert all(1 <= width <= 128 for width in widths)


def test_the_picture_is_drawn(finished):
    assert finished[1].read_bytes().startswith(b"\x89PNG")
