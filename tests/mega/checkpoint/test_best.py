"""The best checkpoint is one whose own policy was evaluated, and readers can be told which checkpoint to take."""

import json
import shutil

import pytest

import genoevo
from genoevo_cli.main import cli
from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.policies.policy import Trained
from genoevo_mega.training import checkpoint
from genoevo_mega.training import trainer as training
from genoevo_mega.training.checkpoint_files import CHECKPOINT
from genoevo_mega.training.evaluation import SuccessRate
from genoevo_runs import manifest
from genoevo_runs.errors import UserError
from tests.mega.checkpoint.tiny import rewritten

SMALL = {
    "suite": "point",
    "steps": 60,
    "environment": {"episode_length": 10},
    "network": {"width": 8, "hidden": 4},
    "sac": {"random_steps": 10, "batch_size": 4, "buffer_size": 500, "updates_per_step": 1},
    "compute": {"threads": 1},
}


def _train(directory, successes, every, evaluate_every, steps=60, **checkpoints):
    """Train with evaluations whose success is that of *successes*, by step."""
    settings = {
        "checkpoints": {"every": every, **checkpoints},
        "evaluation": {"every": evaluate_every, "at_end": False},
    }
    trainer = runs.create(directory, build_config(preset("synthetic"), SMALL, settings), [], lambda status: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "evaluate", lambda *given: [SuccessRate(successes[trainer.state.steps], 0.0, 1.0, 4)])
        trainer.run(steps)
    return trainer


def _scores(directory):
    read = manifest.read_all(directory, CHECKPOINT)
    return {
        content.step: content.score and (content.score.evaluated, content.score.success) for content in read.values()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with checkpoints at 20 (the best), 50 and 60 steps."""
    directory = tmp_path_factory.mktemp("best") / "run"
    _train(directory, {10: 0.25, 20: 0.75, 30: 0.5, 40: 0.5, 50: 0.25, 60: 0.0}, 10, 10)
    return directory


def test_a_checkpoint_has_the_evaluation_of_its_own_step(finished):
    assert _scores(finished) == {20: (True, 0.75), 50: (True, 0.25), 60: (True, 0.0)}
    records = map(json.loads, (finished / "metrics.jsonl").read_text().splitlines())
    steps = [record["step"] for record in records if "greedy_success" in record]
    assert steps == [10, 20, 30, 40, 50, 60]


def test_an_evaluation_between_two_checkpoints_that_is_the_best_so_far_gets_one(tmp_path):
    _train(tmp_path / "run", {15: 0.25, 30: 0.75, 45: 0.5, 60: 0.5}, 20, 15)
    assert _scores(tmp_path / "run")[30] == (True, 0.75)
    assert manifest.newest_first(tmp_path / "run")[-1].name == "000000000030"
    assert 45 not in _scores(tmp_path / "run")


@pytest.mark.parametrize("settings", [{"every": 20, "at_best": False}, {"every": 0}])
def test_no_checkpoint_is_written_for_an_evaluation_unless_it_is_wanted(tmp_path, settings):
    _train(tmp_path / "run", {15: 0.25, 30: 0.75, 45: 0.5, 60: 0.75}, evaluate_every=15, keep=9, **settings)
    written = set(_scores(tmp_path / "run"))
    assert written == ({20, 40, 60} if settings["every"] else {60})


def test_a_policy_that_was_not_evaluated_has_no_others_evaluation(tmp_path):
    _train(tmp_path / "run", {15: 0.75, 30: 0.5, 45: 0.5}, 20, 15, steps=50, keep=9)
    scores = _scores(tmp_path / "run")
    assert scores[15] == (True, 0.75)
    assert all(scores[step] is None or not scores[step][0] for step in (20, 40))


def test_an_evaluation_of_another_step_in_an_earlier_versions_checkpoint_does_not_count(finished):
    read = manifest.read_all(finished, CHECKPOINT)
    other = {path: content.model_copy(update={"step": content.step + 10}) for path, content in read.items()}
    assert manifest.best(other) is None
    assert manifest.best(read).name == "000000000020-2"


def test_an_evaluation_is_the_same_whether_the_policy_is_evaluated_in_the_run_or_later(tmp_path):
    settings = {"checkpoints": {"every": 30, "keep": 9}, "evaluation": {"every": 30, "episodes": 3}}
    config = build_config(preset("synthetic"), SMALL, settings)
    runs.create(tmp_path / "run", config, [], lambda status: None).run(60)
    for step, score in _scores(tmp_path / "run").items():
        estimates = runs.evaluate_run(tmp_path / "run", 3, lambda done: None, which=step)
        assert (True, estimates["point"].success) == score


def _genoevo(*arguments) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", *map(str, arguments)])
    return stop.value.code


@pytest.mark.parametrize(("which", "steps"), [("latest", 60), ("best", 20), ("50", 50)])
@pytest.mark.parametrize("command", ["evaluate", "info", "export"])
def test_a_command_reads_the_checkpoint_that_is_asked_for(finished, tmp_path, capsys, command, which, steps):
    more = {"evaluate": ("--episodes", 1, "--json"), "info": ("--json",), "export": ("--out", tmp_path / "out")}
    assert _genoevo(command, finished, "--checkpoint", which, *more[command]) == 0
    said = capsys.readouterr().out if command != "export" else (tmp_path / "out" / "policies.json").read_text()
    assert json.loads(said)["steps"] == steps


def test_info_lists_the_checkpoints(finished, capsys):
    assert _genoevo("info", finished, "--json") == 0
    listed = json.loads(capsys.readouterr().out)["checkpoints"]
    assert [(one["step"], one["success"], one["best"]) for one in listed] == [
        (20, 0.75, True),
        (50, 0.25, False),
        (60, 0.0, False),
    ]


def test_a_policy_is_loaded_from_the_checkpoint_that_is_asked_for(finished):
    for which, step in (("best", 20), (50, 50), ("latest", 60)):
        path = next(path for path, content in manifest.read_all(finished, CHECKPOINT).items() if content.step == step)
        expected = checkpoint.agent_state.read(path / "agent.safetensors")["averaged/core.flat"]
        loaded = Trained.of_run(finished, which).agent.actor_ema.core.flat
        assert loaded.equal(expected)
    assert genoevo.load_policy(finished, checkpoint="best").tasks == ("point",)


@pytest.mark.parametrize("which", ["newest", "30", "-1"])
def test_a_checkpoint_that_there_is_not_is_answered_with_those_that_there_are(finished, capsys, which):
    assert _genoevo("evaluate", finished, "--checkpoint", which) == 2
    said = capsys.readouterr().err
    assert "must be latest, best or a step with a checkpoint: 20, 50, 60" in said
    assert said.count("\n") == 1


def test_a_step_is_a_whole_number(finished):
    with pytest.raises(UserError, match=r"checkpoint = True: must be latest"):
        genoevo.load_policy(finished, checkpoint=True)


def test_if_the_best_is_corrupt_the_next_best_is_taken_and_told(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    rewritten(tmp_path / "run" / "checkpoints" / "000000000020-2", lambda content: content.update(step=-1))
    lines = []
    assert checkpoint.find(tmp_path / "run", lines.append, "best").name == "000000000050-2"


def test_a_run_resumed_from_an_earlier_checkpoint_goes_the_same_way_again(tmp_path):
    successes = {10: 0.25, 20: 0.75, 30: 0.5, 40: 0.5, 50: 0.25, 60: 0.0}
    _train(tmp_path / "run", successes, 10, 10)
    whole, metrics = runs.info(tmp_path / "run")["digest"], (tmp_path / "run" / "metrics.jsonl").read_bytes()
    lines = []
    trainer = runs.resume(tmp_path / "run", tell=lines.append, which="best")
    assert trainer.state.steps == 20
    assert [line.partition(" ")[0] for line in lines] == ["000000000050-2", "000000000060-2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "evaluate", lambda *given: [SuccessRate(successes[trainer.state.steps], 0.0, 1.0, 4)])
        trainer.run(60)
    assert runs.info(tmp_path / "run")["digest"] == whole
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == metrics
    aside = {path.name for path in (tmp_path / "run" / "checkpoints").glob("*.later")}
    assert aside == {"000000000050-2.later", "000000000060-2.later"}
