import shutil

import pytest

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.verify import verify
from genoevo_runs import manifest
from genoevo_runs.errors import UserError
from tests.mega.checkpoint.tiny import TINY, names, newest, resumed_to, segments


@pytest.mark.parametrize(
    "name", ["agent.safetensors", "arrays.safetensors", "community.npz", "state.json", "manifest.json"]
)
@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_where_the_newest_checkpoint_is_damaged_the_one_before_it_is_taken(run, name, damage):
    damaged = newest(run)
    path = damaged / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    told = []
    trainer = runs.resume(run, tell=told.append)
    assert trainer.state.steps == 50
    [line] = told
    assert line.startswith(f"000000000060 is passed over: {path} is corrupt: ")
    assert "\n" not in line


def test_a_damaged_segment_is_noticed(run):
    segment = run / "replay" / segments(newest(run))[-1].name
    content = bytearray(segment.read_bytes())
    content[-3] ^= 4
    segment.write_bytes(content)
    if segment.name in {entry.name for entry in segments(manifest.newest_first(run)[1])}:
        pytest.fail("the checkpoint before it needs that segment, too")
    told = []
    assert runs.resume(run, tell=told.append).state.steps == 50
    assert f"{segment} is corrupt: its SHA-256 differs" in told[0]


def test_what_was_passed_over_is_set_aside_and_the_run_ends_the_same(run, finished):
    (newest(run) / "agent.safetensors").write_bytes(b"")
    trainer, _ = resumed_to(run, 60)
    assert trainer.state.steps == 60
    assert names(run) == ["000000000060", "000000000050"]
    assert (run / "checkpoints" / "000000000060.damaged").is_dir()
    assert runs.info(run)["digest"] == runs.info(finished)["digest"]
    assert (run / "metrics.jsonl").read_bytes() == (finished / "metrics.jsonl").read_bytes()
    assert verify(run)["sound"]


def test_where_no_checkpoint_is_whole_the_run_is_left_as_it_is(run):
    for path in manifest.newest_first(run):
        (path / "state.json").write_text("{}")
    with pytest.raises(UserError, match=r"has no intact checkpoint: .*state.json is corrupt"):
        runs.resume(run)
    with pytest.raises(UserError, match="genoevo mega verify"):
        runs.info(run)


def test_info_and_evaluate_pass_over_a_damaged_checkpoint_and_say_so(run):
    (newest(run) / "community.npz").write_bytes(b"PK")
    told = []
    assert runs.info(run, tell=told.append)["steps"] == 50
    assert "000000000060 is passed over" in told[0]
    assert runs.evaluate_run(run, 1, lambda done: None, tell=told.append)
    assert len(told) == 2


def test_a_run_killed_before_its_first_checkpoint_starts_from_the_beginning(run, finished):
    shutil.rmtree(run / "checkpoints")
    shutil.rmtree(run / "replay")
    trainer, told = resumed_to(run, 60)
    assert trainer.state.steps == 60
    assert told == [f"{run} holds no checkpoint yet: it starts from the beginning"]
    assert runs.info(run)["digest"] == runs.info(finished)["digest"]
    assert (run / "metrics.jsonl").read_bytes() == (finished / "metrics.jsonl").read_bytes()


def test_a_creation_that_was_interrupted_can_be_repeated(tmp_path):
    (tmp_path / "run" / ".begun").mkdir(parents=True)
    (tmp_path / "run" / "config.yaml.new").write_text("suite:")
    with pytest.raises(UserError, match="is not a run directory"):
        runs.resume(tmp_path / "run")
    config = build_config(preset("smoke"), TINY)
    runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    assert runs.open_config(tmp_path / "run") == config
