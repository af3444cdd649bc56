"""Archives of runs: what goes in comes out, and nothing else does."""

import io
import json
import tarfile

import pytest

from genoevo_runs import archive, archive_reader
from genoevo_runs.errors import CorruptFileError, StorageError, UserError
from genoevo_runs.manifest import checksum

CONTENT = {"run.json": b"{}", "checkpoints/000000000050/state.json": b"x" * 700, "metrics.jsonl": b""}


@pytest.fixture
def run(tmp_path):
    for name, content in CONTENT.items():
        path = tmp_path / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "run"


@pytest.fixture
def packed(run, tmp_path):
    archive.pack(run, [*CONTENT], tmp_path / "run.tar", kind="toy", replay=True)
    return tmp_path / "run.tar"


def unpacked(path, directory, check=lambda folder: None):
    return archive.unpack(path, directory, check)


def files_in(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def refused(path, directory, match, kind=CorruptFileError):
    """Unpacking is refused, and leaves nothing."""
    before = {*directory.parent.iterdir()}
    with pytest.raises(kind, match=match):
        unpacked(path, directory)
    assert {*directory.parent.iterdir()} == before


def test_what_was_packed_is_unpacked(packed, tmp_path):
    index = unpacked(packed, tmp_path / "there" / "b")
    assert files_in(tmp_path / "there" / "b") == CONTENT
    assert (index.kind, index.run, index.replay) == ("toy", "run", True)


def test_any_tar_reads_an_archive(packed, tmp_path):
    with tarfile.open(packed) as tar:
        assert tar.getnames() == ["genoevo-run.json", *(f"run/{name}" for name in CONTENT)]
        assert tar.extractfile("run/run.json").read() == b"{}"


def test_an_archive_is_the_same_whenever_it_is_written(run, packed, tmp_path):
    archive.pack(run, [*CONTENT], tmp_path / "again.tar", kind="toy", replay=True)
    assert packed.read_bytes() == (tmp_path / "again.tar").read_bytes()


def test_nothing_is_overwritten(run, packed, tmp_path):
    before = packed.read_bytes()
    with pytest.raises(UserError, match="exists; choose another"):
        archive.pack(run, [*CONTENT], packed, kind="toy", replay=True)
    assert packed.read_bytes() == before
    with pytest.raises(UserError, match="exists and is not empty; choose another"):
        unpacked(packed, run)
    assert files_in(run) == CONTENT


def test_an_empty_directory_may_be_there(packed, tmp_path):
    (tmp_path / "b").mkdir()
    unpacked(packed, tmp_path / "b")
    assert files_in(tmp_path / "b") == CONTENT


def test_an_archive_that_cannot_be_finished_leaves_nothing(run, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive.shutil, "copyfileobj", full)
    with pytest.raises(StorageError, match=r"run\.tar cannot be written: No space left on device"):
        archive.pack(run, [*CONTENT], tmp_path / "run.tar", kind="toy", replay=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_file_that_changes_while_it_is_packed_is_noticed(run, tmp_path):
    def change(done):
        (run / "metrics.jsonl").write_bytes(b"more")

    with pytest.raises(StorageError, match="reads back otherwise"):
        archive.pack(run, [*CONTENT], tmp_path / "run.tar", kind="toy", replay=True, progress=change)
    assert not (tmp_path / "run.tar").exists()


def test_a_link_is_not_packed(run, tmp_path):
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match=r"metrics\.jsonl is a link"):
        archive.pack(run, [*CONTENT], tmp_path / "run.tar", kind="toy", replay=True)


def test_a_run_that_does_not_pass_its_check_leaves_nothing(packed, tmp_path):
    def check(folder):
        raise CorruptFileError(folder / "run.json", "it is wrong")

    before = {*tmp_path.iterdir()}
    with pytest.raises(CorruptFileError, match=r"run\.tar is corrupt: run\.json is corrupt: it is wrong"):
        unpacked(packed, tmp_path / "b", check)
    assert {*tmp_path.iterdir()} == before


def test_an_archive_cut_off_anywhere_is_refused(packed, tmp_path):
    content = packed.read_bytes()
    for size in (0, 100, 512, 700, 1024, len(content) // 2, len(content) - 512, len(content) - 1):
        packed.write_bytes(content[:size])
        refused(packed, tmp_path / "b", r"run\.tar is corrupt")


def test_every_changed_byte_that_carries_content_is_noticed(packed, tmp_path):
    content = packed.read_bytes()
    for place in range(512, len(content), 97):
        changed = bytearray(content)
        changed[place] ^= 1
        packed.write_bytes(changed)
        try:
            unpacked(packed, tmp_path / "b")
        except CorruptFileError:
            assert not (tmp_path / "b").exists()
        else:  # padding, and a header's owner and times, carry nothing
            assert files_in(tmp_path / "b") == CONTENT
            archive.shutil.rmtree(tmp_path / "b")


def forged(path, names, members=None, **index):
    """An archive as a forger writes it: an index of any *names*, and any members."""
    entries = [{"name": name, "size": 2, "sha256": archive.hashlib.sha256(b"{}").hexdigest()} for name in names]
    content = {
        "format": "genoevo-run-archive",
        "version": 1,
        "kind": "toy",
        "run": "run",
        "replay": True,
        "files": entries,
        **index,
    }
    text = json.dumps({**content, "checksum": checksum(content)}).encode()
    first = tarfile.TarInfo("genoevo-run.json")
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        first.size = len(text)
        tar.addfile(first, io.BytesIO(text))
        for member in members or [tarfile.TarInfo(f"run/{name}") for name in names]:
            if member.type == tarfile.REGTYPE:
                member.size = 2
            tar.addfile(member, io.BytesIO(b"{}"))
    return path


def member(kind, name="run/run.json", **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def test_the_forger_of_these_tests_can_write_an_archive(tmp_path):
    unpacked(forged(tmp_path / "run.tar", ["run.json"]), tmp_path / "b")
    assert files_in(tmp_path / "b") == {"run.json": b"{}"}


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/x",
        "a//b",
        "./x",
        ".begun",
        "a/.b",
        "a\\b",
        "x\x00",
        "x\n",
        "",
        "a/",
        "C:x",
        "x" * 201,
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path, name):
    refused(forged(tmp_path / "run.tar", [name], [tarfile.TarInfo("run/x")]), tmp_path / "b", r"files\.0\.name")


@pytest.mark.parametrize(
    "members",
    [
        [member(tarfile.SYMTYPE, linkname="/etc/passwd")],
        [member(tarfile.LNKTYPE, linkname="run/other")],
        [member(tarfile.DIRTYPE)],
        [member(tarfile.FIFOTYPE)],
        [member(tarfile.CHRTYPE)],
        [member(tarfile.GNUTYPE_SPARSE)],
        [member(tarfile.REGTYPE, "run/" + "x" * 120)],  # a GNU header of its own carries the name
        [member(tarfile.REGTYPE, "run/../x")],
        [member(tarfile.REGTYPE, "/etc/x")],
        [member(tarfile.REGTYPE, "run/other.json")],
        [member(tarfile.REGTYPE), member(tarfile.REGTYPE, "run/more.json")],
    ],
    ids=range(11),
)
def test_a_member_that_is_not_the_listed_file_is_refused(tmp_path, members):
    refused(forged(tmp_path / "run.tar", ["run.json"], members), tmp_path / "b", r"run\.tar is corrupt")


@pytest.mark.parametrize(
    ("index", "match"),
    [
        ({"version": 2}, "version"),
        ({"format": "other"}, "format"),
        ({"files": []}, "files"),
        ({"more": 1}, "more"),
        ({"files": [{"name": "a", "size": 2**62, "sha256": "0" * 64}]}, "lists 4611686018427387904 bytes"),
        ({"files": [{"name": "a", "size": -1, "sha256": "0" * 64}]}, "size"),
        ({"files": [{"name": name, "size": 0, "sha256": "0" * 64} for name in ("a", "A")]}, "a name twice"),
        ({"files": [{"name": name, "size": 0, "sha256": "0" * 64} for name in ("a/b", "a")]}, "below a file"),
    ],
)
def test_an_index_that_cannot_be_true_is_refused(tmp_path, index, match):
    refused(forged(tmp_path / "run.tar", ["run.json"], **index), tmp_path / "b", match)


def test_an_index_that_was_changed_is_refused(packed, tmp_path):
    packed.write_bytes(packed.read_bytes().replace(b'"toy"', b'"Toy"'))
    refused(packed, tmp_path / "b", "the checksum of its index differs")


def test_an_index_too_large_to_read_is_refused_before_it_is_read(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(archive_reader.files, "JSON_LIMIT", 100)
    refused(packed, tmp_path / "b", "at most 100 are read")


def test_an_archive_that_is_no_file_is_refused(tmp_path):
    refused(tmp_path / "missing.tar", tmp_path / "b", r"missing\.tar is corrupt")
    refused(tmp_path, tmp_path / "b", "expected a file")


def test_a_disk_with_too_little_space_is_named_before_anything_is_written(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda path: archive.shutil._ntuple_diskusage(1, 1, 0))
    refused(packed, tmp_path / "b", "bytes are needed, fewer are free", StorageError)
