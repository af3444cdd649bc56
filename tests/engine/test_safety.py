"""Reading runs no code, and no file can ask for more memory than it has bytes for."""

import ast
import io
import json
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genoevo import Community, Evolution
from genoevo.state import load, save

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("genoevo", "cli", "adapters") for path in (ROOT / folder).rglob("*.py"))
UNSAFE = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }\n"


class Trap:
    """Leaves a file where unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def as_npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def archive(path, compression=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)


def text(**state):
    content = json.dumps({"format": "genoevo-state", "version": 2, "state": state}).encode()
    return as_npy(np.frombuffer(content, np.uint8))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.npz"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_unpickles_or_evaluates(source):
    found = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in MODULES:
            found.append(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in UNSAFE:
            found.append(node.func.id)
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found += [] if isinstance(node.value, ast.Constant) and node.value.value is False else ["allow_pickle"]
    # A function is written to be sent to a process of our own. Whether it can be, is asked in the same way. A hash of
    # estimators and data is of what joblib writes of them; nothing is read.
    allowed = {
        "genoevo/evaluation/pools/process_pool.py": {"pickle", "pickle.dumps"},
        "adapters/genoevo_mega/envs/custom.py": {"pickle", "pickle.dumps"},
        "adapters/genoevo_sklearn/identity.py": {"joblib", "joblib.hash"},
        "adapters/genoevo_sklearn/searching.py": {"joblib", "joblib.hash"},
        "adapters/genoevo_sklearn/space/encoding.py": {"joblib", "joblib.hash"},
    }
    assert set(found) == allowed.get(source.relative_to(ROOT).as_posix(), set())


@pytest.mark.parametrize("member", ["json", "0.population.words"])
def test_a_pickle_inside_a_state_file_is_not_loaded(path, tmp_path, member):
    trap = as_npy(np.array([Trap(tmp_path / "sprung")], dtype=object))
    members = {"json": text(population={"words": {"$array": "0.population.words"}})}
    archive(path, **{**members, member: trap})
    with pytest.raises(ValueError, match=f"array '{member}' must be of numbers or text, got object"):
        load(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["state.npz", "state.npy", "state.pkl"])
def test_a_pickle_in_place_of_a_state_file_is_not_loaded(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ValueError, match="is not a state file of genoevo"):
        load(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("shape", [10**6, 2**37, 2**62, 10**30, -1])
def test_a_header_that_asks_for_more_than_the_file_has_is_refused_before_memory_is(path, shape):
    header = (HEADER % shape).encode()
    archive(path, json=text(), a=b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(800))
    assert path.stat().st_size < 3000
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"array 'a' of shape .* bytes and has 800"):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_compressed_member_is_refused_before_it_is_unpacked(path):
    archive(path, zipfile.ZIP_DEFLATED, json=text(), a=as_npy(np.zeros(2**22)))
    assert path.stat().st_size < 50_000
    tracemalloc.start()
    with pytest.raises(ValueError, match="must be stored and fit the file"):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_members_that_overlap_are_refused(path):
    """A thousand entries of the directory that all point to the same megabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a0.npy", as_npy(np.zeros(2**17)))
        for i in range(1, 1000):
            twin = zipfile.ZipInfo(f"a{i}.npy")
            for name in ("header_offset", "file_size", "compress_size", "CRC", "compress_type"):
                setattr(twin, name, getattr(file.infolist()[0], name))
            file.filelist.append(twin)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="must be stored and fit the file"):
        load(path)


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "..\\escaped"])
def test_a_name_in_an_archive_is_a_key_and_never_a_path(path, tmp_path, name):
    archive(path, json=text(a={"$array": name}), **{name: as_npy(np.arange(3))})
    assert load(path)["a"].tolist() == [0, 1, 2]
    assert list(tmp_path.iterdir()) == [path]


def test_json_without_end_is_refused(path):
    archive(path, json=as_npy(np.frombuffer(b"[" * 100_000, np.uint8)))
    with pytest.raises(ValueError, match="is not a state file of genoevo, or it is corrupt"):
        load(path)


def test_a_community_of_a_million_modules_is_refused_before_it_is_made(path):
    fixture = Path(__file__).parent / "fixtures" / "community-v2.npz"
    save(path, {**load(fixture), "start_stage": 10**6})
    with pytest.raises(ValueError, match="start_stage must be a whole number from 1 to 3, got 1000000"):
        Community.from_state(load(path))


def test_an_evolution_of_a_community_is_refused():
    with pytest.raises(ValueError, match="not of 'evolution'"):
        Evolution.from_state(load(Path(__file__).parent / "fixtures" / "community-v2.npz"))
