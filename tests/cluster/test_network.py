"""Nodes whose network is cut for ten seconds: rollouts, searches and sweeps go on as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from genoevo.pools import RayPool as FitnessPool
from genoevo_runs import manifest, pools
from genoevo_runs.pools import RayPool as SweepPool
from tests.cluster.cluster import cluster, wait_until
from tests.cluster.machines import SMALL_NODE
from tests.cluster.searches import begun, fitness_by
from tests.cluster.sweeps import Slowly, planned, result, trained_here
from tests.cluster.training import train

NETWORK = f"198.{18 + os.getpid() // 256 % 2}.{os.getpid() % 256}"  # of those that nobody has, by RFC 2544
HERE, THERE = f"{NETWORK}.1", f"{NETWORK}.2"
LINK, ITS_END = f"gv{os.getpid()}a", f"gv{os.getpid()}b"


def _ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout


def _remove(name):
    def is_empty():
        processes = _ip("netns", "pids", name).split()
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        return not processes

    wait_until(is_empty)
    _ip("netns", "del", name)  # takes the link with it


def _skip(reason):
    if os.environ.get("GENOEVO_TEST_NETWORK") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def _namespace():
    """A network namespace of its own, joined to this machine by the link :data:`LINK`."""
    if os.geteuid() or not shutil.which("ip"):
        _skip("needs root and iproute2")
    name = f"genoevo-test-{os.getpid()}"
    for left in Path("/run/netns").glob("genoevo-test-*"):  # of tests that were killed
        if not Path("/proc", left.name.rpartition("-")[2]).exists():
            _remove(left.name)
    try:
        _ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        _skip(f"no network namespace can be made: {error.stderr}")
    try:
        _ip("link", "add", LINK, "type", "veth", "peer", "name", ITS_END, "netns", name)
        _ip("addr", "add", f"{HERE}/24", "dev", LINK)
        _ip("link", "set", LINK, "up")
        _ip("-n", name, "addr", "add", f"{THERE}/24", "dev", ITS_END)
        _ip("-n", name, "link", "set", ITS_END, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        _remove(name)


@contextmanager
def _joined(namespace, address):
    """Run a node of two cores in a namespace; start it again if a busy machine is too slow for Ray."""
    import ray

    inside = ["ip", "netns", "exec", namespace, sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
    options = [*SMALL_NODE, f"--node-ip-address={THERE}", f"--address={address}"]
    started = []

    def has_joined():
        if not started or started[-1].poll() is not None:
            started.append(subprocess.Popen([*inside, *options], stdout=subprocess.DEVNULL))
        return ray.cluster_resources().get("CPU", 0) >= 2

    try:
        wait_until(has_joined, seconds=180)
        yield
    finally:
        for node in started:
            node.kill()
            node.wait()


@pytest.fixture(scope="module", autouse=True)
def nodes():
    """A head here, and the only cores beyond a link that can be cut."""
    with _namespace() as name, cluster(0, node_ip_address=HERE) as nodes, _joined(name, nodes.address):
        yield nodes


def _cut():
    """Cut the link and begin to wait for ten seconds; return what waits until it is mended."""
    _ip("link", "set", LINK, "down")
    mending = subprocess.Popen(["sh", "-c", f"sleep 10; ip link set {LINK} up"])

    def mended():
        assert mending.wait() == 0

    return mended


@pytest.mark.parametrize("lag", [0, 2])
def test_rollouts_train_the_same_bits(tmp_path, lag):
    mended, seconds = [], {}

    def cut(status):
        seconds.setdefault(status.steps, time.monotonic())
        if status.steps == 600 and not mended:
            mended.append(_cut())

    schedule = {"double_buffering": not lag, "action_lag": lag}
    settings = {"steps": 1000, "compute": {"workers": 2}, "evaluation": {"every": 400}, "schedule": schedule}
    there = train(tmp_path / "there", "ray", observer=cut, **settings)
    mended[0]()
    # When the link is cut, the answers of at most so many vector steps, of ten steps each, are here already.
    assert seconds[630 + 10 * lag] - seconds[600] > 9
    records = [json.loads(line) for line in (tmp_path / "there" / "metrics.jsonl").read_text().splitlines()]
    assert not [record for record in records if record["kind"] == "fault"]
    assert there == train(tmp_path / "here", "local", **settings)


def test_a_search_finds_the_same_bits(frozen):
    mended = []

    def cut(evolution):
        if evolution.generation == 1:
            mended.append(_cut())

    began = time.monotonic()
    with FitnessPool(fitness_by(0.01), batch=1) as pool:
        evolution = begun(pool, callbacks=[cut])
        evolution.run(3)
        assert time.monotonic() > began + 9
    mended[0]()
    whole = begun(fitness_by())
    whole.run(3)
    assert frozen(evolution.state_dict()) == frozen(whole.state_dict())


def test_a_run_of_a_sweep_trains_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "_Runner", Slowly)
    run, undisturbed = (planned(tmp_path / name)[0] for name in ("there", "here"))
    (tmp_path / "there").mkdir()
    slow = tmp_path / "there" / "slow"
    slow.touch()

    def cut():
        wait_until(lambda: manifest.newest_first(run.directory), 300)
        mended = _cut()
        slow.unlink()
        mended()

    cutter = threading.Thread(target=cut)
    cutter.start()
    events = [event.event for event in SweepPool(tmp_path / "there", 1, ["test"]).run([run])]
    cutter.join()
    assert events == ["done"]
    assert result(run) == trained_here(undisturbed)
