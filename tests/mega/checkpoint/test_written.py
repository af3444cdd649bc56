import threading
from pathlib import Path

import numpy as np
import torch

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.training import checkpoint
from genoevo_mega.training.checkpoint_files import CHECKPOINT
from genoevo_runs import manifest
from genoevo_runs.checkpoint_store import CheckpointStore
from tests.mega.checkpoint.tiny import TINY, names, newest, segments, train


def test_the_last_checkpoints_are_kept_and_nothing_else_is_there(run):
    assert names(run) == ["000000000060", "000000000050"]
    named = {segment.name for path in manifest.newest_first(run) for segment in segments(path)}
    assert {path.name for path in (run / "replay").iterdir()} == named
    assert {path.name for path in (run / "checkpoints").iterdir()} == set(names(run))


def test_a_later_checkpoint_does_not_write_the_earlier_replay_again(tmp_path):
    # Rings of 10,052 rows: a checkpoint of 200 has more than a 64th of them and is not joined with the next.
    settings = {"environment": {"episode_length": 200}, "sac": {"buffer_size": 10_000, "updates_per_step": 0}}
    train(tmp_path / "run", steps=600, checkpoints={"every": 200, "keep": 3}, **settings)
    later, middle, early = (segments(path) for path in manifest.newest_first(tmp_path / "run"))
    assert [len(early), len(middle), len(later)] == [1, 2, 3]
    assert later[:2] == middle
    assert middle[:1] == early


def test_small_segments_are_joined(tmp_path):
    train(tmp_path / "run", steps=300, sac={"buffer_size": 10_000, "updates_per_step": 0})
    assert len(segments(newest(tmp_path / "run"))) < 8  # of 30 checkpoints


def test_segments_that_the_ring_has_overwritten_are_removed(tmp_path):
    train(tmp_path / "run", steps=200, sac={"buffer_size": 30, "updates_per_step": 0})
    replay = segments(newest(tmp_path / "run"))
    assert replay[0].first[0] > 100
    assert len(list((tmp_path / "run" / "replay").iterdir())) <= len(replay) + 2


def test_the_best_checkpoint_is_kept(tmp_path, monkeypatch):
    scores = iter([0.2, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1])
    monkeypatch.setattr(
        checkpoint,
        "_score",
        lambda state: manifest.Score(evaluated=True, success=next(scores), step=20 if state.steps < 31 else 31),
    )
    train(tmp_path / "run")
    # That of 20 steps is as good as that of 30 and nearer to the evaluation.
    assert names(tmp_path / "run") == ["000000000060", "000000000050", "000000000020"]


def test_an_evaluation_counts_more_than_a_round_of_training(finished):
    read = manifest.read(newest(finished), CHECKPOINT)
    paths = {
        Path(str(number)): read.model_copy(update={"step": number, "score": score})
        for number, score in enumerate(
            [
                manifest.Score(evaluated=False, success=1.0, step=0),
                manifest.Score(evaluated=True, success=0.1, step=1),
                None,
            ]
        )
    }
    assert manifest.best(paths) == Path("1")
    assert manifest.best({Path("2"): paths[Path("2")]}) is None


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    written, release, steps = [], threading.Event(), []
    write = CheckpointStore._write

    def slow(self, snapshot, segments):
        release.wait(60)
        written.append(snapshot.step)
        return write(self, snapshot, segments)

    def observe(status):
        steps.append((status.steps, len(written)))
        if status.steps == 15:
            release.set()

    monkeypatch.setattr(CheckpointStore, "_write", slow)
    config = build_config(preset("smoke"), TINY, {"steps": 20})
    trainer = runs.create(tmp_path / "run", config, ["test"], observe)
    trainer.run(20)
    assert (15, 0) in steps
    # What was written is the state at 10 steps, not that of the steps since.
    assert written == [10, 20]
    again = runs.resume(tmp_path / "run")
    assert again.state.steps == 20


def test_a_snapshot_shares_nothing_with_the_run(run):
    trainer = runs.resume(run)
    taken = checkpoint.snapshot(trainer.state)
    arrays = {
        (file, name): array.copy()
        for file in ("agent.safetensors", "arrays.safetensors")
        for name, array in taken.files[file].items()
    }
    words = taken.files["community.npz"]["population"]["words"].copy()
    with torch.no_grad():
        for network in (trainer.state.agent.actor, trainer.state.agent.critics):
            for parameter in network.parameters():
                parameter.add_(1)
    for name in ("episodes", "returns"):
        getattr(trainer.state.evolver.statistics, name)[:] += 1
    trainer.state.evolver.community.population.words[:] ^= 1
    trainer.state.replay.observations[:] = 7
    trainer.state.episodes.taken[:] = 3
    assert all(np.array_equal(taken.files[file][name], array) for (file, name), array in arrays.items())
    assert np.array_equal(taken.files["community.npz"]["population"]["words"], words)
