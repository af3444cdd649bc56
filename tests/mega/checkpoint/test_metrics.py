import pytest

from genoevo_mega.experiments import runs
from genoevo_runs import metrics
from genoevo_runs.errors import UserError


def test_metrics_are_read_as_they_were_written(finished):
    records = metrics.read(finished / "metrics.jsonl")
    assert len(records) == (finished / "metrics.jsonl").read_bytes().count(b"\n") > 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "JSONDecodeError"),
        (b"[1]", "a JSON object is expected, got list"),
        (b'{"kind": "round"}', "step = None"),
        (b'{"kind": "round", "step": 1.5}', "step = 1.5"),
        (b'{"kind": 3, "step": 1}', "kind = 3"),
        (b'{"step": 1, "loss": NaN}', "NaN is not a JSON number"),
        (b"\xff\xfe", "UnicodeDecodeError"),
        (b"[" * 100_000, "RecursionError"),
        (b"", "JSONDecodeError"),
    ],
)
def test_a_line_of_metrics_that_is_none_is_named(tmp_path, line, message):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"kind": "round", "step": 1}\n' + line + b'\n{"kind": "round", "step": 2}\n')
    with pytest.raises(UserError, match=f"metrics.jsonl, line 2 is corrupt: .*{message}"):
        metrics.read(path)


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    (tmp_path / "m").write_bytes(b'{"kind": "round", "step": 1}\n{"kind": "rou')
    assert metrics.read(tmp_path / "m") == [{"kind": "round", "step": 1}]


def test_metrics_that_were_changed_are_noticed(run):
    text = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(text.replace("round", "ruond", 1))
    with pytest.raises(UserError, match=r"metrics.jsonl is corrupt: its first \d+ bytes are not those"):
        runs.resume(run)
