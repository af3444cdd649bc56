"""Runs that move: what is said of them, what they keep, and their archives."""

import json
import tarfile
from pathlib import Path

import pytest

from genoevo_cli.main import cli
from genoevo_mega.experiments import moving, runs
from genoevo_mega.experiments.archives import default_out, pack_run, unpack_run
from genoevo_mega.experiments.moving import Stint, led_to, lines, next_stint
from genoevo_mega.experiments.verify import verify
from genoevo_mega.run_kind import KIND
from genoevo_runs import archive, files, machine, manifest
from genoevo_runs.errors import ConfigError, CorruptFileError, UserError
from genoevo_runs.lock import locked
from genoevo_runs.sweep import SweepFile, plan
from tests.mega.checkpoint.tiny import newest, resumed_to, train

FACTS = {"host": "a", "cores": 8, "threads": 2, "workers": 4, "processor": "X", "halves": 0, "device": "cpu"}


def stint(step, **changed):
    return Stint(step=step, time="2026-01-01T00:00:00+00:00", facts={**FACTS, **changed})


def told(**changed):
    return list(lines(FACTS, stint(400, **changed)))


# ------------------------------------------------------------------------------------------------- what is said of it


def test_nothing_is_said_of_a_run_that_stays():
    assert told() == []
    assert told(directory="/elsewhere", cores=9) == []


def test_another_host_with_the_same_processor_stays_exact():
    assert told(host="b", workers=1) == ["the run moves at step 400 and stays exact: host a -> b; workers 4 -> 1"]


def test_what_changes_bits_is_named_with_its_reason():
    (line,) = told(host="b", threads=1, processor=None)
    assert line.startswith(
        "from step 400 the run is not bit for bit what it would have been: threads 2 -> 1 (gradients"
    )
    assert "processor X -> unknown (matrix products may round differently)" in line
    assert "host" not in line


def test_halves_that_other_workers_would_divide_differently_are_not_exact():
    assert "workers 4 -> 1 (the halves" in next(lines({**FACTS, "halves": 1}, stint(4, workers=1, halves=1)))


def test_a_smaller_machine_is_told_with_what_would_be_exact():
    host, threads, workers = told(host="b", cores=1)
    assert "stays exact" in host
    assert "compute.threads = 2 on 1 cores" in threads
    assert "not exact" in threads
    assert "--set compute.workers=1 is exact" in workers


def test_workers_of_a_cluster_are_not_too_many_for_one_machine():
    assert len(told(host="b", cores=2, threads=2, workers=8, rollouts="ray")) == 1


def test_other_kernels_are_not_exact():
    (line,) = lines({**FACTS, "kernels": "torch"}, stint(400, kernels="compiled"))
    assert "kernels torch -> compiled (sums are made in another order)" in line


def test_nodes_of_another_kind_are_not_exact():
    (line,) = lines({**FACTS, "rollout_processors": "X, glibc 2"}, stint(400, rollout_processors="Z, glibc 2"))
    assert line.endswith("rollout_processors X, glibc 2 -> Z, glibc 2 (simulators may round differently)")


def test_rollouts_on_nodes_of_the_same_kind_stay_exact():
    before = {**FACTS, "rollouts": "local", "rollout_processors": "X"}
    (line,) = lines(before, stint(400, rollouts="ray", rollout_processors="X"))
    assert line == "the run moves at step 400 and stays exact: rollouts local -> ray"


def test_nodes_of_several_kinds_are_told_at_every_resume():
    mixed = {**FACTS, "rollouts": "ray", "rollout_processors": "X | Z"}
    (line,) = lines(mixed, stint(400, **mixed))
    assert "rollout_processors (nodes of several kinds: a task may be simulated on another kind" in line
    assert next_stint([stint(0, **mixed)], stint(400, **mixed)) is not None


def test_a_processor_of_one_machine_is_told_once():
    (line,) = lines({**FACTS, "rollout_processors": "X"}, stint(400, processor="Y", rollout_processors="Y"))
    assert "rollout_processors" not in line


def test_nothing_is_said_of_a_fact_that_the_earlier_machine_was_not_asked_for():
    assert told(rollouts="ray", rollout_processors="X | Z") == []


def test_a_missing_device_is_refused_with_the_command_that_resumes(run, monkeypatch):
    config = runs.build_config({"compute": {"device": "cuda"}, "sac": {"precision": "tf32"}})
    monkeypatch.setattr(moving.torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"resume \S+ --set compute.device=cpu --set sac.precision=fp32 continues"):
        moving.check_device(run, config)


# ------------------------------------------------------------------------------------------------------ what is noted


def test_machines_before_an_earlier_checkpoint_lead_to_it():
    first, second, third = stint(0), stint(400, host="b"), stint(200, host="c")
    assert led_to([]) == []
    assert led_to([first, second], 400) == [first]
    assert led_to([first, second], 401) == [first, second]
    assert led_to([first, second, third]) == [first, third]
    assert led_to([first, stint(0, host="b")], 0) == [stint(0, host="b")]


def test_a_stint_is_noted_if_anything_is_new():
    assert next_stint([stint(0)], stint(400)) is None
    assert next_stint([stint(0)], stint(400, host="b")) == stint(400, host="b")
    assert next_stint([], stint(0)) == stint(0)
    # The second was resumed elsewhere and came to nothing; its work must not be taken for the first one's.
    assert next_stint([stint(0), stint(400, host="b")], stint(400)) == stint(400)


def test_a_move_is_told_and_noted_once(run, monkeypatch):
    facts = machine.facts
    monkeypatch.setattr(machine, "facts", lambda *given: facts(*given) | {"host": "b", "processor": "Y"})
    assert "processor" in resumed_to(run, 70)[1][0]
    assert resumed_to(run, 80)[1] == []
    here, there = runs.info(run)["machines"]
    assert (here["step"], here["exact"], here["changed"]) == (0, True, {})
    assert (there["step"], there["exact"], there["facts"]["host"]) == (60, False, "b")
    assert there["reasons"] == {"processor": "matrix products may round differently"}
    assert there["changed"]["processor"][1] == "Y"
    assert verify(run)["sound"]


def test_a_run_of_an_earlier_version_has_no_machines_until_it_is_resumed(run):
    origin = json.loads((run / "run.json").read_text())
    del origin["machines"]
    (run / "run.json").write_text(json.dumps(origin))
    assert runs.info(run)["machines"] == []
    assert resumed_to(run, 70)[1] == []
    assert [entry["step"] for entry in runs.info(run)["machines"]] == [60]


@pytest.mark.parametrize("entry", [{}, {"step": -1}, {"facts": {"host": [1]}}])
def test_a_stint_that_cannot_be_is_refused(run, entry):
    origin = json.loads((run / "run.json").read_text())
    origin["machines"] = [{**origin["machines"][0], **entry} if entry else {}]
    (run / "run.json").write_text(json.dumps(origin))
    with pytest.raises(CorruptFileError, match=r"run.json is corrupt: machines\.0"):
        runs.resume(run)


# ------------------------------------------------------------------------------------------------------------- exact


def test_another_number_of_workers_is_exact(tmp_path):
    settings = {"suite": "synthetic", "steps": 800, "checkpoints": {"every": 400}}
    one = train(tmp_path / "one", **settings, compute={"workers": 1})
    train(tmp_path / "two", **settings | {"steps": 400}, compute={"workers": 3})
    lines = []
    trainer = runs.resume(tmp_path / "two", tell=lines.append, settings={"steps": 800, "compute": {"workers": 2}})
    trainer.run(800)
    assert lines == ["the run moves at step 400 and stays exact: workers 3 -> 2"]
    assert runs.info(tmp_path / "two")["digest"] == runs.info(one.directory)["digest"]


# ---------------------------------------------------------------------------------------------------------- archives


def test_an_unpacked_run_ends_with_the_same_bits(run, tmp_path):
    packed = pack_run(run, default_out(run))
    assert packed["archive"] == str(tmp_path / "run.tar")
    unpacked = unpack_run(tmp_path / "run.tar", tmp_path / "there")
    assert (unpacked["checkpoints"], unpacked["replay"], unpacked["files"]) == (2, True, packed["files"])
    assert verify(tmp_path / "there")["sound"]
    assert resumed_to(tmp_path / "there", 80)[1] == []
    resumed_to(run, 80)
    assert runs.info(run)["digest"] == runs.info(tmp_path / "there")["digest"]
    assert (run / "metrics.jsonl").read_bytes() == (tmp_path / "there" / "metrics.jsonl").read_bytes()


def test_what_no_checkpoint_needs_stays_out(run, tmp_path):
    (run / "checkpoints" / "000000000040.damaged").mkdir()
    (run / "checkpoints" / "000000000040.damaged" / "state.json").write_text("{}")
    for name in ("replay/000099.safetensors", ".hidden", "run.json.123.tmp", "wandb/log", "report.html"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("x")
    pack_run(run, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        names = {name.removeprefix("run/") for name in tar.getnames()}
    assert {"report.html", "config.yaml", "run.json", "metrics.jsonl"} < names
    assert not names & {"replay/000099.safetensors", ".hidden", "run.json.123.tmp", "wandb/log", "lock"}
    assert not any("damaged" in name for name in names)


def test_a_run_that_is_being_trained_is_not_packed(run, tmp_path):
    with locked(run), pytest.raises(UserError, match="is being trained by process"):
        pack_run(run, tmp_path / "a.tar")
    assert not (tmp_path / "a.tar").exists()


@pytest.mark.parametrize("name", ["agent.safetensors", "manifest.json"])
def test_a_corrupt_run_is_not_packed(run, tmp_path, name):
    path = newest(run) / name
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=name):
        pack_run(run, tmp_path / "a.tar")


def test_an_archive_inside_of_the_run_is_refused(run):
    with pytest.raises(UserError, match="must lie outside of the run directory"):
        pack_run(run, run / "a.tar")


def test_a_run_without_its_replay_resumes_with_an_empty_one_and_says_so(run, tmp_path):
    pack_run(run, tmp_path / "a.tar", replay=False)
    there = tmp_path / "there"
    assert unpack_run(tmp_path / "a.tar", there)["replay"] is False
    assert not (there / "replay").exists()
    assert verify(there)["sound"]
    assert runs.info(there)["digest"] == runs.info(run)["digest"]
    before = runs.info(there)["updates"]
    trainer, lines = resumed_to(there, 69)
    assert lines == [
        "from step 60 the run is not bit for bit what it would have been: "
        "replay (it was left out of the archive, and begins empty)"
    ]
    assert trainer.state.agent.updates == before  # sac.random_steps is 10
    assert len(trainer.state.replay) == 9
    assert resumed_to(there, 80)[0].state.agent.updates > before
    assert [entry["exact"] for entry in runs.info(there)["machines"]] == [True, False]
    assert verify(there)["sound"]


def test_no_segment_takes_the_name_of_one_that_was_left_out(run, tmp_path):
    left = {
        entry.name for path in manifest.newest_first(run) for entry in manifest.read(path, runs.CHECKPOINT).replay
    }
    pack_run(run, tmp_path / "a.tar", replay=False)
    unpack_run(tmp_path / "a.tar", tmp_path / "there")
    resumed_to(tmp_path / "there", 70)
    assert not left & {path.name for path in (tmp_path / "there" / "replay").iterdir()}


def test_an_archive_of_another_kind_of_run_is_refused(run, tmp_path):
    origin = json.loads((run / "run.json").read_text())
    pack_run(run, tmp_path / "a.tar")
    (run / "run.json").write_text(json.dumps({**origin, "format": "other"}))
    archive.pack(run, ["run.json", "config.yaml"], tmp_path / "b.tar", kind="other", replay=True)
    with pytest.raises(CorruptFileError, match=r"b.tar is corrupt: run.json is corrupt: format = 'other'"):
        unpack_run(tmp_path / "b.tar", tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_info_prints_what_was_not_exact(run, capsys):
    origin = json.loads((run / "run.json").read_text())
    (first,) = origin["machines"]
    moved = {**first, "step": 30, "time": "2026-03-04T05:06:07+00:00", "facts": {**first["facts"], "processor": "Y"}}
    origin["machines"].append(moved)
    (run / "run.json").write_text(json.dumps(origin))
    code, _, err = command(capsys, "info", run)
    printed = " ".join(err.split())
    assert code == 0
    assert "2026-03-04: from step 30 the run is not bit for bit what it would have been: processor " in printed
    assert "-> Y (matrix products may round differently)." in printed


def test_an_address_is_refused_by_the_library_too(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    address, config = Path("s3://bucket/x"), runs.open_config(run)
    for name, refused in (
        ("run-dir", lambda: runs.create(address, config, [], print)),
        ("run-dir", lambda: runs.resume(address)),
        ("run-dir", lambda: runs.info(address)),
        ("dir", lambda: plan(KIND, SweepFile(preset="smoke"), run, address)),
        ("out", lambda: pack_run(run, address)),
        ("dir", lambda: unpack_run(tmp_path / "a.tar", address)),
    ):
        with pytest.raises(ConfigError, match=f"{name} = 's3://bucket/x': must be a path, not an address; mount it"):
            refused()
    assert sorted(tmp_path.iterdir()) == before


def command(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        cli.main(["mega", *map(str, words)])
    return stop.value.code, *capsys.readouterr()


def test_the_commands_say_what_they_did_and_what_is_lost(run, tmp_path, capsys):
    code, out, err = command(capsys, "pack", run, "--out", tmp_path / "a.tar", "--without-replay", "--json")
    packed = json.loads(out)
    assert (code, packed["sha256"]) == (0, files.sha256(tmp_path / "a.tar"))
    assert "makes no update until every task has sac.random_steps new steps, and is not exact" in err
    code, out, err = command(capsys, "unpack", tmp_path / "a.tar", tmp_path / "b")
    assert (code, out) == (0, "")
    assert f"2 checkpoints, intact. Resume with: genoevo mega resume {tmp_path / 'b'}" in err
    assert "The archive has no replay." in err
    code, out, err = command(capsys, "unpack", tmp_path / "a.tar", tmp_path / "b")
    assert (code, err) == (2, f"genoevo: dir = '{tmp_path / 'b'}': exists and is not empty; choose another\n")
