import json
import os
import platform
import shutil
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from genoevo_mega import checkpoint, files, manifest, metrics, runs, training
from genoevo_mega.build import make_suite
from genoevo_mega.config import build_config, preset
from genoevo_mega.errors import DamagedError, StorageError, UserError, VersionError
from genoevo_mega.lock import locked
from genoevo_mega.replay import Replay
from genoevo_mega.rollout import RolloutPool
from genoevo_mega.verify import verify
from genoevo_mega.writer import Writer

FIXTURES = Path(__file__).parent / "fixtures"
TINY = {
    "suite": "drawer-close-v3",
    "steps": 60,
    "environment": {"episode_length": 10, "goals": 2},
    "network": {"width": 8, "hidden": 4},
    "genotypes": {"update_with": "stored"},
    "growth": {"mastery": 1.0, "patience": 1, "warmup_rounds": 1, "max_modules": 3},
    "sac": {"random_steps": 10, "batch_size": 4, "buffer_size": 500},
    "evaluation": {"at_end": False},
    "machine": {"checkpoint_every": 10, "keep_checkpoints": 2},
}


def train(directory, **settings):
    config = build_config(preset("smoke"), TINY, settings)
    trainer = runs.create(directory, config, ["test"], lambda status: None)
    trainer.run(config.steps)
    return trainer


@pytest.fixture(scope="module", autouse=True)
def one_pool():
    """All runs of this file share the worker process of one pool, so that only the first waits for its start."""
    suite = make_suite(build_config(preset("smoke"), TINY))
    with RolloutPool(suite, 1) as pool, pytest.MonkeyPatch.context() as patch:

        def opened(asked, *arguments, **settings):
            assert asked == suite
            return nullcontext(pool)

        patch.setattr(training, "RolloutPool", opened)
        patch.setattr(runs, "RolloutPool", opened)
        patch.setattr(training, "measure_matrix_rate", lambda device: 1.0)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with checkpoints at 50 and 60 steps; not to be changed."""
    directory = tmp_path_factory.mktemp("run") / "run"
    train(directory)
    return directory


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run."""
    return shutil.copytree(finished, tmp_path / "run")


def names(run):
    return [path.name for path in manifest.newest_first(run)]


def newest(run):
    return manifest.newest_first(run)[0]


def resumed_to(run, steps):
    told = []
    trainer = runs.resume(run, tell=told.append)
    trainer.run(steps)
    return trainer, told


# ------------------------------------------------------------------------------------------------- what is written


def test_the_last_checkpoints_are_kept_and_nothing_else_is_there(run):
    assert names(run) == ["000000000060", "000000000050"]
    named = {segment.name for path in manifest.newest_first(run) for segment in manifest.read(path).replay}
    assert {path.name for path in (run / "replay").iterdir()} == named
    assert {path.name for path in (run / "checkpoints").iterdir()} == set(names(run))


def test_a_later_checkpoint_does_not_write_the_earlier_replay_again(tmp_path):
    # Rings of 10,052 rows: a checkpoint of 200 has more than a 64th of them and is not joined with the next.
    settings = {"environment": {"episode_length": 200}, "sac": {"buffer_size": 10_000, "updates_per_step": 0}}
    train(tmp_path / "run", steps=600, machine={"checkpoint_every": 200, "keep_checkpoints": 3}, **settings)
    later, middle, early = (manifest.read(path).replay for path in manifest.newest_first(tmp_path / "run"))
    assert [len(early), len(middle), len(later)] == [1, 2, 3]
    assert later[:2] == middle
    assert middle[:1] == early


def test_small_segments_are_joined(tmp_path):
    train(tmp_path / "run", steps=300, sac={"buffer_size": 10_000, "updates_per_step": 0})
    assert len(manifest.read(newest(tmp_path / "run")).replay) < 8  # of 30 checkpoints


def test_segments_that_the_ring_has_overwritten_are_removed(tmp_path):
    train(tmp_path / "run", steps=200, sac={"buffer_size": 30, "updates_per_step": 0})
    replay = manifest.read(newest(tmp_path / "run")).replay
    assert replay[0].first[0] > 100
    assert len(list((tmp_path / "run" / "replay").iterdir())) <= len(replay) + 2


def test_the_best_checkpoint_is_kept(tmp_path, monkeypatch):
    scores = iter([0.2, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1])
    monkeypatch.setattr(
        checkpoint,
        "_score",
        lambda trainer: manifest.Score(evaluated=True, success=next(scores), step=20 if trainer.steps < 31 else 31),
    )
    train(tmp_path / "run")
    # That of 20 steps is as good as that of 30 and nearer to the evaluation.
    assert names(tmp_path / "run") == ["000000000060", "000000000050", "000000000020"]


def test_an_evaluation_counts_more_than_a_round_of_training(finished):
    read = manifest.read(newest(finished))
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
    write = Writer._write

    def slow(self, snapshot, segments):
        release.wait(60)
        written.append(snapshot.step)
        return write(self, snapshot, segments)

    def observe(status):
        steps.append((status.steps, len(written)))
        if status.steps == 15:
            release.set()

    monkeypatch.setattr(Writer, "_write", slow)
    config = build_config(preset("smoke"), TINY, {"steps": 20})
    trainer = runs.create(tmp_path / "run", config, ["test"], observe)
    trainer.run(20)
    assert (15, 0) in steps
    # What was written is the state at 10 steps, not that of the steps since.
    assert written == [10, 20]
    again = runs.resume(tmp_path / "run")
    assert again.steps == 20


def test_a_snapshot_shares_nothing_with_the_run(run):
    trainer = runs.resume(run)
    taken = checkpoint.snapshot(trainer)
    before = {name: tensor.clone() for name, tensor in taken.tensors.items()}
    arrays = {name: array.copy() for name, array in taken.arrays.items()}
    words = taken.community["population"]["words"].copy()
    with torch.no_grad():
        for network in (trainer.agent.actor, trainer.agent.critics):
            for parameter in network.parameters():
                parameter.add_(1)
    for name in ("episodes", "returns"):
        getattr(trainer.evolver.tally, name)[:] += 1
    trainer.evolver.community.population.words[:] ^= 1
    trainer.replay.observations[:] = 7
    trainer.episodes.taken[:] = 3
    assert all(torch.equal(taken.tensors[name], tensor) for name, tensor in before.items())
    assert all(np.array_equal(taken.arrays[name], array) for name, array in arrays.items())
    assert np.array_equal(taken.community["population"]["words"], words)


# --------------------------------------------------------------------------------------------------------- replay


def _filled(replay, steps, lengths=(7, 5), start=0):
    from genoevo_mega.rollout import Transition

    for step in range(start, start + steps):
        now = np.full((2, 3), step, np.float32) + np.array([[0], [0.5]], np.float32)
        ended = np.array([step % length == length - 1 for length in lengths])
        none = np.zeros(2, np.bool_)
        after = Transition(now + 0.25, np.full(2, step, np.float32), ended & [False, True], ended, lost=none)
        replay.add(now, now[:, :2], after, ended, np.full(2, step))
    return replay


@pytest.mark.parametrize("steps", [0, 1, 5, 23, 24, 60])
@pytest.mark.parametrize("between", [1, 7, 200])
def test_rows_in_parts_make_the_replay_they_were_taken_of(steps, between):
    replay = Replay(2, 20, 3, 2, 7)
    parts, taken = [], replay.written.copy()
    for step in range(steps):
        _filled(replay, 1, start=step)
        if step % between == 0:
            first = np.maximum(taken, replay.oldest)
            taken = replay.written.copy()
            parts.append((first, taken, replay.rows(first, taken)))
    first, last = np.maximum(taken, replay.oldest), replay.written.copy()
    parts.append((first, last, replay.rows(first, last)))
    again = Replay(2, 20, 3, 2, 7)
    for part in parts:
        again.load_rows(*part)
    again.load_arrays(replay.state_arrays())
    for name, ring in replay._rings().items():
        assert np.array_equal(getattr(again, name)[replay.valid], ring[replay.valid]), name
    assert np.array_equal(again.valid, replay.valid)
    for other in (replay, again):
        _filled(other, 9, start=steps)
    batches = [other.sample(32, np.random.default_rng(0), gamma=0.9, steps=3) for other in (replay, again)]
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"written": np.array([5, -1])}, "written"),
        ({"written": np.array([5.0, 6.0])}, "written"),
        ({"filled": np.array([9, 99])}, "filled"),
        ({"begun/rewards": np.zeros(3, np.float32)}, "rewards"),
        ({"begun/actions": np.zeros((2, 2), np.int32)}, "actions"),
    ],
)
def test_a_replay_that_cannot_be_is_refused(change, message):
    replay = _filled(Replay(2, 20, 3, 2, 7), 9)
    with pytest.raises(ValueError, match=message):
        replay.load_arrays({**replay.state_arrays(), **change})


def test_a_replay_without_a_transition_to_draw_is_refused():
    replay = _filled(Replay(2, 20, 3, 2, 7), 9)
    arrays = replay.state_arrays()
    replay.valid[:] = False
    with pytest.raises(ValueError, match="marks no transition"):
        replay.load_arrays({**arrays, "begun/valid": np.zeros(2, np.bool_)})


# ----------------------------------------------------------------------------------------------------- fallback


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
    assert trainer.steps == 50
    [line] = told
    assert line.startswith(f"000000000060 is passed over: {path} is damaged: ")
    assert "\n" not in line


def test_a_damaged_segment_is_noticed(run):
    segment = run / "replay" / manifest.read(newest(run)).replay[-1].name
    content = bytearray(segment.read_bytes())
    content[-3] ^= 4
    segment.write_bytes(content)
    if segment.name in {entry.name for entry in manifest.read(manifest.newest_first(run)[1]).replay}:
        pytest.fail("the checkpoint before it needs that segment, too")
    told = []
    assert runs.resume(run, tell=told.append).steps == 50
    assert f"{segment} is damaged: its SHA-256 differs" in told[0]


def test_what_was_passed_over_is_set_aside_and_the_run_ends_the_same(run, finished):
    (newest(run) / "agent.safetensors").write_bytes(b"")
    trainer, _ = resumed_to(run, 60)
    assert trainer.steps == 60
    assert names(run) == ["000000000060", "000000000050"]
    assert (run / "checkpoints" / "000000000060.damaged").is_dir()
    assert runs.info(run)["digest"] == runs.info(finished)["digest"]
    assert (run / "metrics.jsonl").read_bytes() == (finished / "metrics.jsonl").read_bytes()
    assert verify(run)["sound"]


def test_where_no_checkpoint_is_whole_the_run_is_left_as_it_is(run):
    for path in manifest.newest_first(run):
        (path / "state.json").write_text("{}")
    with pytest.raises(UserError, match=r"has no checkpoint that is whole: .*state.json is damaged"):
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
    assert trainer.steps == 60
    assert told == [f"{run} holds no checkpoint yet: it starts from the beginning"]
    assert runs.info(run)["digest"] == runs.info(finished)["digest"]
    assert (run / "metrics.jsonl").read_bytes() == (finished / "metrics.jsonl").read_bytes()


def test_a_creation_that_was_interrupted_can_be_repeated(tmp_path):
    (tmp_path / "run" / ".begun").mkdir(parents=True)
    (tmp_path / "run" / "config.yaml.new").write_text("suite:")
    with pytest.raises(UserError, match="is no run"):
        runs.resume(tmp_path / "run")
    config = build_config(preset("smoke"), TINY)
    runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    assert runs.open_config(tmp_path / "run") == config


# ----------------------------------------------------------------------------------------------- writes that fail


def test_a_failed_write_stops_the_run_at_once_and_says_how_to_go_on(tmp_path, monkeypatch):
    before = {}

    def full(path):
        if "000000000030" in str(path):
            before.update(dict.fromkeys(names(tmp_path / "run")))
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("genoevo_mega.writer.files.sha256", lambda path: full(path) or "0" * 64)
    config = build_config(preset("smoke"), TINY)
    trainer = runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    with pytest.raises(
        StorageError, match=r"cannot be written: No space left on device; .* genoevo mega resume"
    ) as stop:
        trainer.run(60)
    assert "\n" not in str(stop.value)
    assert trainer.steps <= 40  # seen after the step under way, at the latest by the next checkpoint
    assert names(tmp_path / "run") == list(before) == ["000000000020", "000000000010"]


LIMITED = """
import resource, sys
from genoevo_cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv[1:] = sys.argv[2:]
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_is_one_line_and_exit_code_1_and_the_run_goes_on_when_it_is_mended(run, finished):
    # The replay's segment is the first file to be larger than that.
    command = [sys.executable, "-c", LIMITED, "30000", "mega", "resume", str(run), "--steps", "100"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    line = result.stderr.splitlines()[-1]
    assert "File too large" in line
    assert f"genoevo mega resume {run}" in line
    assert "Traceback" not in result.stderr
    assert runs.info(run)["digest"] == runs.info(finished)["digest"]
    assert resumed_to(run, 80)[0].steps == 80
    assert verify(run)["sound"]


def test_a_directory_that_cannot_be_written_is_named_in_one_line_and_left_as_it_was(run):
    before = runs.info(run)["digest"]
    command = [sys.executable, "-m", "genoevo_cli", "mega", "resume", str(run), "--steps", "80"]
    if os.geteuid() == 0:  # to whom no directory is read-only, unless it gives up the right
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    places = [run, *(path for path in run.rglob("*") if path.is_dir())]
    for path in places:
        path.chmod(0o555)
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        for path in places:
            path.chmod(0o755)
    assert result.returncode == 1
    assert "cannot be written" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert runs.info(run)["digest"] == before


def test_metrics_that_cannot_be_written_stop_the_run(run, monkeypatch):
    def full(file, record):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics, "_append", full)
    with pytest.raises(StorageError, match="metrics cannot be written: No space left"):
        runs.resume(run).run(100)


# -------------------------------------------------------------------------------------------------------- locks


def test_the_lock_names_its_holder(run):
    message = rf"is being trained by process {os.getpid()} on {platform.node()} since 20\d\d-"
    with locked(run), pytest.raises(UserError, match=message):
        runs.resume(run).run(80)


@pytest.mark.parametrize("content", ["", "12345", "{}", '{"pid": []}', "\x00" * 50])
def test_a_lock_that_does_not_say_whose_it_is(run, content):
    with locked(run):
        (run / "lock").write_text(content)
        with pytest.raises(UserError, match="is being trained by another process"), locked(run):
            pass


def test_what_a_dead_process_left_in_the_lock_holds_nobody_up(run):
    (run / "lock").write_text('{"pid": 1, "host": "elsewhere", "started": "2001-01-01"}')
    with locked(run):
        pass


def test_a_file_system_without_locks_is_named(run, monkeypatch):
    import fcntl

    def refuse(*arguments):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match="cannot be locked: Operation not supported; keep the run on"), locked(run):
        pass


def test_a_run_that_another_process_has_trained_in_the_meantime_is_not_spoilt(run):
    stale = runs.resume(run)
    resumed_to(run, 70)
    with pytest.raises(UserError, match="was written by another process"):
        stale.run(80)
    assert runs.info(run)["steps"] == 70


# ------------------------------------------------------------------------------------------------------- verify


def test_a_sound_run_is_sound(run):
    verdict = verify(run)
    assert verdict["sound"]
    assert verdict["checkpoints"] == 2
    assert verdict["files"] >= 2 * 5 + 3 + 1


FILES = [
    "config.yaml",
    "run.json",
    "metrics.jsonl",
    *(
        f"checkpoints/000000000050/{name}"
        for name in ("agent.safetensors", "arrays.safetensors", "community.npz", "state.json", "manifest.json")
    ),
]


@pytest.mark.parametrize("name", [*FILES, "segment"])
def test_verify_names_every_file_that_was_changed(run, name):
    if name == "segment":
        name = f"replay/{manifest.read(newest(run)).replay[0].name}"
    path = run / name
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x80
    path.write_bytes(content)
    verdict = verify(run)
    assert not verdict["sound"]
    assert {problem["place"].partition(",")[0] for problem in verdict["damaged"]} == {name}


def test_verify_needs_a_run(tmp_path):
    with pytest.raises(UserError, match="is no run"):
        verify(tmp_path)


# ---------------------------------------------------------------------------------------------------- bad input


def rewritten(path, change):
    """The manifest of a checkpoint after *change*, its checksum made to fit: what a forger would do."""
    content = json.loads((path / "manifest.json").read_text())
    del content["checksum"]
    change(content)
    content["checksum"] = manifest._checksum(content)
    (path / "manifest.json").write_text(json.dumps(content))


def resealed(path):
    """The manifest made to fit files that were changed."""

    def change(content):
        for entry in content["files"]:
            entry["size"] = (path / entry["name"]).stat().st_size
            entry["sha256"] = files.sha256(path / entry["name"])

    rewritten(path, change)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a/b", "agent.safetensors/../../x", "", "other.npz"])
def test_names_that_lead_out_of_the_run_are_refused(run, name):
    for path, kind in zip(manifest.newest_first(run), ("files", "replay"), strict=True):
        rewritten(path, lambda content, kind=kind: content[kind][0].update(name=name))
        with pytest.raises(DamagedError, match=f"{kind}.0.name"):
            manifest.read(path)


@pytest.mark.parametrize(
    "place", ["checkpoints/000000000060", "replay", "checkpoints/000000000060/state.json", "metrics.jsonl"]
)
def test_links_that_lead_out_of_the_run_are_refused(run, tmp_path, place):
    (run / place).rename(tmp_path / "outside")
    (run / place).symlink_to(tmp_path / "outside")
    told = []
    with suppress(UserError):
        runs.resume(run, tell=lambda line: told.append(line))
    problems = [problem["problem"] for problem in verify(run)["damaged"]]
    assert any("leads out of" in line for line in problems)
    assert all("leads out of" in line for line in told)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", -1),
        ("steps", 10**30),
        ("steps", "60"),
        ("pool_size", 10**9),
        ("pool_size", 2.5),
        ("updates", None),
        ("metrics_offset", -5),
        ("success", [2.0]),
        ("success", [0.5] * 1000),
        ("losses", {"count": 1, "sums": {"critic_loss": "nan"}}),
        ("rngs", {}),
        ("time", {"simulator": -1.0}),
        ("work", {"operations": True}),
        ("evaluation_due", 1),
        ("surprise", 1),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(run, name, value):
    path = newest(run)
    content = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps({**content, name: value}))
    resealed(path)
    with pytest.raises(DamagedError, match=name):
        checkpoint.load_one(runs.Trainer(runs.open_config(run), run), path)


def test_a_pool_that_the_populations_do_not_need_is_refused(run):
    path = newest(run)
    content = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps({**content, "pool_size": 1}))
    resealed(path)
    with pytest.raises(DamagedError, match="pool_size = 1: must be from"):
        checkpoint.load_one(runs.Trainer(runs.open_config(run), run), path)


def huge_npy(shape="(1000000000000,)"):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def test_an_npy_header_that_asks_for_terabytes_is_refused_before_they_are_allocated(tmp_path):
    import zipfile

    (tmp_path / "huge.npy").write_bytes(huge_npy())
    with pytest.raises(DamagedError, match=r"claims shape \(1000000000000,\)"):
        files.read_npy(tmp_path / "huge.npy")
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("a.npy", huge_npy("(-1, 4)"))
    with pytest.raises(DamagedError, match=r"claims shape \(-1, 4\)"):
        files.read_npz(tmp_path / "huge.npz")


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", huge_npy("(10000,)") + bytes(80_000))
    with pytest.raises(DamagedError, match="is compressed"):
        files.read_npz(tmp_path / "bomb.npz")


def test_a_safetensors_header_that_asks_for_terabytes_is_refused(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    (tmp_path / "huge.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(DamagedError):
        files.read_arrays(tmp_path / "huge.safetensors", "any", 1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("size", 10**12, "1000000000000 genotypes"),
        ("start_stage", 10**9, "start_stage must be"),
        ("precision", 0, "precision"),
    ],
)
def test_populations_that_ask_for_terabytes_are_refused(run, name, value, message):
    from genoevo import state

    path = newest(run)
    content = state.load(path / "community.npz")
    state.save(path / "community.npz", {**content, name: value})
    resealed(path)
    with pytest.raises(DamagedError, match=message):
        runs.info(run)


class Malicious:
    def __reduce__(self):
        return os.mkdir, (os.environ["GENOEVO_TEST_TRACE"],)


@pytest.mark.parametrize("name", [*FILES, "segment"])
def test_a_pickle_in_place_of_any_file_runs_nothing(run, tmp_path, monkeypatch, name):
    import io
    import pickle

    trace = tmp_path / "trace"
    monkeypatch.setenv("GENOEVO_TEST_TRACE", str(trace))
    array = io.BytesIO()
    np.save(array, np.array([Malicious()], object), allow_pickle=True)
    if name == "segment":
        name = f"replay/{manifest.read(newest(run)).replay[0].name}"
    shutil.rmtree(newest(run))
    for content in (
        pickle.dumps(Malicious()),
        array.getvalue(),
        b"!!python/object/apply:os.mkdir [" + str(trace).encode() + b"]",
    ):
        (run / name).write_bytes(content)
        if "checkpoints" in name and "manifest" not in name:
            resealed(newest(run))
        assert not verify(run)["sound"]
        with pytest.raises(UserError):
            resumed_to(run, 70)
        assert not trace.exists()


def test_nothing_in_the_packages_can_run_what_it_reads():
    import re

    root = Path(__file__).parents[2]
    forbidden = re.compile(
        r"\bpickle\.load|from pickle|torch\.load\(|allow_pickle=True|"
        r"yaml\.(load|unsafe_load|full_load)\(|(?<![\w.])(eval|exec)\(|shelve|marshal\.|cloudpickle|dill\b"
    )
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for package in ("genoevo", "adapters", "cli")
        for path in sorted((root / package).rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if forbidden.search(line)
    ]
    assert found == []


# -------------------------------------------------------------------------------------------------------- metrics


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
        (b'{"step": 1, "loss": NaN}', "NaN is no JSON number"),
        (b"\xff\xfe", "UnicodeDecodeError"),
        (b"[" * 100_000, "RecursionError"),
        (b"", "JSONDecodeError"),
    ],
)
def test_a_line_of_metrics_that_is_none_is_named(tmp_path, line, message):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"kind": "round", "step": 1}\n' + line + b'\n{"kind": "round", "step": 2}\n')
    with pytest.raises(UserError, match=f"metrics.jsonl, line 2 is damaged: .*{message}"):
        metrics.read(path)


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    (tmp_path / "m").write_bytes(b'{"kind": "round", "step": 1}\n{"kind": "rou')
    assert metrics.read(tmp_path / "m") == [{"kind": "round", "step": 1}]


def test_metrics_that_were_changed_are_noticed(run):
    text = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(text.replace("round", "ruond", 1))
    with pytest.raises(UserError, match=r"metrics.jsonl is damaged: its first \d+ bytes are not those"):
        runs.resume(run)


# ------------------------------------------------------------------------------------------------------- versions


def old_run(tmp_path, version):
    return shutil.copytree(FIXTURES / version, tmp_path / "run")


def test_a_run_of_version_2_is_read(tmp_path):
    run = old_run(tmp_path, "run_v2")
    info = runs.info(run)
    assert (info["steps"], info["updates"], info["rounds"]) == (46, 35, 1)
    # As version 2 printed it.
    assert info["digest"] == "36c716e3e9636beca504ed86871ec99f08ed049c511bbdfc58ba73f513d12e2b"
    assert verify(run)["sound"]
    assert runs.evaluate_run(run, 1, lambda done: None)["drawer-close-v3"].episodes == 1


def test_a_run_of_version_2_goes_on_in_the_middle_of_its_episode(tmp_path):
    run = old_run(tmp_path, "run_v2")
    trainer = runs.resume(run)
    assert (trainer.steps, len(trainer.replay), trainer.episodes.taken.tolist()) == (46, 46, [6])
    rows = np.load(run / "checkpoint" / "replay" / "rewards.npy")
    assert np.array_equal(trainer.replay.rewards[:, : rows.shape[1]], rows)
    trainer.run(60)
    assert names(run) == ["000000000060"]
    assert not (run / "checkpoint").exists()
    assert runs.info(run)["pool_size"] == 3
    assert verify(run)["sound"]


def test_a_damaged_run_of_version_2_is_refused_by_name(tmp_path):
    run = old_run(tmp_path, "run_v2")
    (run / "checkpoint" / "replay" / "rewards.npy").write_bytes(huge_npy())
    with pytest.raises(UserError, match=r"rewards.npy is damaged: .*claims shape"):
        runs.resume(run)


def test_a_newer_checkpoint_is_refused_and_not_passed_over(run):
    rewritten(newest(run), lambda content: content.update(version=99))
    for read in (runs.info, runs.resume):
        with pytest.raises(VersionError, match="has format version 99; this genoevo reads up to 3: use a newer one"):
            read(run)


def test_a_newer_run_is_refused(run):
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**content, "version": 99}))
    with pytest.raises(VersionError, match=r"run.json has format version 99"):
        runs.resume(run)


@pytest.mark.parametrize("value", [0, "3", None, True, 2.0])
def test_a_version_that_is_no_number_is_damage(run, value):
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**content, "version": value}))
    with pytest.raises(DamagedError, match="version = "):
        runs.resume(run)


@pytest.mark.parametrize(
    ("masked", "sums", "message"),
    [
        ([1, 2, 3], {}, "masked must be of 2 tasks"),
        ([1, 2], {"masked": [1.0]}, "masked must be of 2 tasks"),
        (None, {"masked": 3.0}, "masked must be counts by task"),
        (None, {"critic_loss": [1.0, 2.0]}, "masked must be counts by task"),
    ],
)
def test_counts_of_masked_updates_that_do_not_fit_are_refused(masked, sums, message):
    with pytest.raises(ValueError, match=message):
        checkpoint._check_masked({"masked": masked, "losses": {"sums": sums}}, 2)


def test_counts_of_masked_updates_may_be_there_or_not():
    checkpoint._check_masked({"masked": None, "losses": {"sums": {"critic_loss": 1.0}}}, 2)
    checkpoint._check_masked({"masked": [1, 2], "losses": {"sums": {"masked": [1.0, 0.0]}}}, 2)
