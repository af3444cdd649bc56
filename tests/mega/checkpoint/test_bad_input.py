import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from genoevo_mega.experiments import runs
from genoevo_mega.experiments.verify import verify
from genoevo_mega.training import checkpoint
from genoevo_mega.training.checkpoint_files import CHECKPOINT, FORMAT, VERSION
from genoevo_runs import files, manifest
from genoevo_runs.errors import CorruptFileError, UserError
from tests.mega.checkpoint.tiny import FILES, huge_npy, load_one, newest, resealed, resumed_to, rewritten, segments


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a/b", "agent.safetensors/../../x", "", "other.npz"])
def test_names_that_lead_out_of_the_run_are_refused(run, name):
    for path, kind in zip(manifest.newest_first(run), ("files", "replay"), strict=True):
        rewritten(path, lambda content, kind=kind: content[kind][0].update(name=name))
        with pytest.raises(CorruptFileError, match=f"{kind}.0.name"):
            manifest.read(path, CHECKPOINT)


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
        ("parameters", {"actor": 3}),
        ("time", {"learning": 1.0}),
        ("evaluation_due", 1),
        ("surprise", 1),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(run, name, value):
    path = newest(run)
    content = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps({**content, name: value}))
    resealed(path)
    with pytest.raises(CorruptFileError, match=name):
        load_one(run, path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("rng", "rng: Invalid mt19937 state"), ("targets/core.flat", r"targets/core\.flat must be finite")],
)
def test_tensors_that_no_agent_has_are_refused_by_name(run, name, message):
    path = newest(run)
    tensors = files.read_arrays(path / "agent.safetensors", FORMAT, VERSION)
    odd = np.zeros_like(tensors[name]) if name == "rng" else np.full_like(tensors[name], np.nan)
    save_file({**tensors, name: odd}, path / "agent.safetensors", {"format": FORMAT, "version": str(VERSION)})
    resealed(path)
    with pytest.raises(CorruptFileError, match=message):
        load_one(run, path)


def test_a_machine_without_a_rate_is_summarised(run):
    path = newest(run)
    content = json.loads((path / "state.json").read_text())
    content["work"]["matrix_rate"] = 0.0
    (path / "state.json").write_text(json.dumps(content))
    resealed(path)
    assert runs.info(run)["budget"]["learner_of_matrix_products"] is None


def test_a_pool_that_the_populations_do_not_need_is_refused(run):
    path = newest(run)
    content = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps({**content, "pool_size": 1}))
    resealed(path)
    with pytest.raises(CorruptFileError, match="pool_size = 1: must be from"):
        load_one(run, path)


def test_an_npy_header_that_asks_for_terabytes_is_refused_before_they_are_allocated(tmp_path):
    import zipfile

    (tmp_path / "huge.npy").write_bytes(huge_npy())
    with pytest.raises(CorruptFileError, match=r"shape \(1000000000000,\) takes 8000000000000 bytes and has 0"):
        files.read_npy(tmp_path / "huge.npy")
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("a.npy", huge_npy("(-1, 4)"))
    with pytest.raises(CorruptFileError, match=r"shape \(-1, 4\) takes -32 bytes and has 0"):
        files.read_npz(tmp_path / "huge.npz")


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", huge_npy("(10000,)") + bytes(80_000))
    with pytest.raises(CorruptFileError, match="must be stored and fit the file"):
        files.read_npz(tmp_path / "bomb.npz")


def test_a_safetensors_header_that_asks_for_terabytes_is_refused(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    (tmp_path / "huge.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CorruptFileError):
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
    with pytest.raises(CorruptFileError, match=message):
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
        name = f"replay/{segments(newest(run))[0].name}"
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
