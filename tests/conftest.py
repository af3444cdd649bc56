import io
import json
import resource
import tempfile
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.cluster.cluster import end_shared, shared

SPARE = 256 * 2**20  # bytes that tests of corrupt files of some KiB may take in total

NUMBERS = st.integers() | st.floats() | st.sampled_from([-1, 0, 1, 2**31, 2**63, 2**64, 10**12, 10**30, True, False])
VALUES = st.recursive(
    st.none() | NUMBERS | st.text(max_size=4) | st.just({"$array": "json"}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
ARRAYS = hnp.arrays(
    st.sampled_from([np.uint64, np.int64, np.float64, np.int8, np.bool_, "<U3", ">i4", "S2", "M8[s]"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=20),
)
SHAPES = st.lists(st.sampled_from([-1, 0, 1, 2, 18, 10**6, 2**31, 2**62, 10**12, 10**30]), max_size=4).map(tuple)
DTYPES = st.sampled_from(["<u8", "<i8", "<f8", "|O", "|V8", "<U1000000", "|S0", "<U0", "[('a', '<i8')]", "|b1", "x"])


@pytest.fixture(scope="session", autouse=True)
def _own_ray():
    """Give Ray a directory for this process: with a common one, it would join the cluster of another process."""
    # Not under tmp_path: the paths of its sockets may have 107 characters at most.
    own = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
    with own as directory, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", directory)
        yield
        end_shared()


@pytest.fixture
def three_nodes():
    """A Ray cluster of a head without cores and three nodes of two, for tests that leave the nodes as they are."""
    return shared()


@pytest.fixture(scope="session")
def frozen():
    """Return a function that turns a state, of dicts, lists and arrays, into a value that == compares bit for bit."""

    def freeze(value):
        if isinstance(value, dict):
            return {key: freeze(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [freeze(item) for item in value]
        if isinstance(value, np.ndarray):
            return value.dtype.str, value.shape, value.tobytes()
        return repr(value)

    return freeze


@pytest.fixture
def fuzz(request):
    """Return ``fuzz(check, count, strategy)``, which checks *count* inputs or more and prints their number."""

    def run(check, count, strategy):
        seen = 0

        @settings(
            max_examples=count,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(value=strategy)
        def each(value):
            nonlocal seen
            seen += 1
            check(value)

        each()
        print(f"{request.node.name}: {seen:,} inputs")
        assert seen >= count

    return run


@pytest.fixture
def little_memory():
    """Raise MemoryError if this process allocates more than *SPARE* bytes beyond its present memory."""
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + SPARE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(scope="session")
def damaged():
    """Return ``damaged(path)``, a strategy for bytes of this state file, corrupt or changed by an attacker."""

    def of(path):
        return st.one_of(make(path) for make in (_flipped, _cut, _edited, _with_headers, _with_arrays))

    return of


@st.composite
def _flipped(draw, path):
    data = bytearray(path.read_bytes())
    for place in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=5)):
        data[place] ^= 1 << draw(st.integers(0, 7))
    return bytes(data)


@st.composite
def _cut(draw, path):
    whole = path.read_bytes()
    end = draw(st.integers(0, len(whole)))
    return whole[:end] + draw(st.binary(max_size=30))


def _members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _packed(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _places(value, place=()):
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*place, key))


@st.composite
def _edited(draw, path):
    """An intact archive whose JSON has another value at one place, or lacks the place."""
    members = _members(path)
    content = json.loads(np.load(io.BytesIO(members["json.npy"])).tobytes())
    places = [place for place in _places(content) if place]
    place = places[draw(st.integers(0, len(places) - 1))]
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    if draw(st.booleans()):
        inner[place[-1]] = draw(VALUES)
    else:
        del inner[place[-1]]
    text = json.dumps(content).encode()
    return _packed({**members, "json.npy": _npy(np.frombuffer(text, np.uint8))})


@st.composite
def _with_headers(draw, path):
    """An intact archive with another header of one array."""
    members = _members(path)
    name = draw(st.sampled_from(sorted(members)))
    header = f"{{'descr': {draw(DTYPES)!r}, 'fortran_order': {draw(st.booleans())}, 'shape': {draw(SHAPES)!r}, }}\n"
    if draw(st.booleans()):
        header = draw(st.text(max_size=40)) + "\n"
    encoded = header.encode("latin1", "replace")
    data = b"\x93NUMPY\x01\x00" + len(encoded).to_bytes(2, "little") + encoded + members[name][128:]
    return _packed({**members, name: data}, draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])))


@st.composite
def _with_arrays(draw, path):
    """An intact archive in which one array is another, has another name, or is missing."""
    members = _members(path)
    name = draw(st.sampled_from(sorted(members)))
    data = members.pop(name)
    if draw(st.booleans()):
        members[name] = _npy(draw(ARRAYS))
    elif draw(st.booleans()):
        members[draw(st.sampled_from(["../../escaped", "/etc/escaped.npy", "a\\b.npy", ".npy", "x" * 300]))] = data
    return _packed(members)
