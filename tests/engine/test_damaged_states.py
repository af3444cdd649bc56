"""Files that hold no state, or a damaged one, are refused by name, and reading them runs no code."""

import io
import json
import pickle

import numpy as np
import pytest

from genoevo import Evolution, Population
from genoevo.state import load, save


@pytest.fixture
def evolution(rng):
    evolution = Evolution(lambda genotype: genotype.bits.sum(), Population.random(4, 20, rng), seed=1)
    evolution.run(2)
    return evolution


def npz(path, **arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def as_npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def text_as_array(content):
    return np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("hello"),
        lambda path: path.write_bytes(pickle.dumps({"state": 1})),
        lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)),
        lambda path: path.write_bytes(as_npy(np.arange(3))),
        lambda path: npz(path, weights=np.arange(3)),
        lambda path: npz(path, weights=np.array([{"a": 1}], dtype=object)),
        lambda path: npz(path, json=np.array([{"a": 1}], dtype=object)),
        lambda path: npz(path, json=np.frombuffer(b"{not json", dtype=np.uint8)),
        lambda path: npz(path, json=np.frombuffer(b"\xff\xfe", dtype=np.uint8)),
        lambda path: npz(path, json=text_as_array([1, 2])),
        lambda path: npz(path, json=text_as_array({"version": 1, "state": {}})),
        lambda path: npz(path, json=text_as_array({"format": "other", "version": 1, "state": {}})),
        lambda path: path.mkdir(),
    ],
    ids=[
        "empty",
        "text",
        "pickle",
        "zip of nothing",
        "npy",
        "npz without json",
        "npz of objects",
        "json of objects",
        "broken json",
        "no text",
        "json of something else",
        "no format",
        "other format",
        "folder",
    ],
)
def test_a_foreign_file_is_refused_by_name(path, write):
    write(path)
    with pytest.raises(ValueError, match=f"{path} is not a state file of genoevo"):
        load(path)


@pytest.mark.parametrize("version", [3, 0, None, "1", True, 1.0])
def test_another_format_version_is_refused_by_name(path, version):
    npz(path, json=text_as_array({"format": "genoevo-state", "version": version, "state": {}}))
    with pytest.raises(ValueError, match=f"{path} has format version {version!r}; this genoevo reads 1 to 2"):
        load(path)


@pytest.mark.parametrize("content", [{"state": {"a": {"$array": "0.a"}}}, {}], ids=["array", "state"])
def test_a_file_that_lacks_a_part_is_refused_by_name(path, content):
    npz(path, json=text_as_array({"format": "genoevo-state", "version": 1, **content}))
    with pytest.raises(ValueError, match=f"{path} is corrupt: it has no '(0.a|state)'"):
        load(path)


def test_a_truncated_file_is_refused_by_name_wherever_it_ends(path, evolution):
    save(path, evolution.state_dict())
    whole = path.read_bytes()
    for size in range(0, len(whole), 17):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=f"{path} is not a state file of genoevo, or it is corrupt"):
            load(path)


def test_a_changed_byte_is_noticed_wherever_it_matters(path, evolution, rng, frozen):
    save(path, evolution.state_dict())
    whole = path.read_bytes()
    expected = frozen(load(path))
    refusals = []
    for place in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            assert frozen(load(path)) == expected
        except ValueError as error:
            refusals.append(str(error))
    assert len(refusals) > len(whole) / 10
    assert all(message.startswith(str(path)) for message in refusals)


def test_reading_runs_no_code(path, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    npz(path, json=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match="is not a state file of genoevo"):
        load(path)
    assert not (tmp_path / "sprung").exists()
