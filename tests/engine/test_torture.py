import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("torture.py")


def test_searches_killed_at_random_moments_end_as_those_never_killed():
    command = [sys.executable, str(SCRIPT), "8", "--kills", "3", "--generations", "15"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    print(done.stdout, end="")
    assert done.returncode == 0, done.stdout + done.stderr
    kills, inside = map(
        int, re.match(r"8 of 8 searches bit-identical after (\d+) kills, (\d+) of", done.stdout).groups()
    )
    assert kills >= 8
    assert inside >= 1
