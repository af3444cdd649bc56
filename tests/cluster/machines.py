"""Machines that are namespaces of this one: each has its own network, processes, host name and folder of Ray's."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.cluster.cluster import STORE, wait_until

NETWORK = "10.213.9"
SMALL_NODE = (
    "--num-cpus=2",
    f"--object-store-memory={STORE}",
    # A node that waits for its agents to choose ports ends after 15 seconds, and no setting gives it more.
    "--dashboard-agent-grpc-port=20001",
    "--dashboard-agent-listen-port=20002",
    "--metrics-export-port=20003",
    "--runtime-env-agent-port=20004",
)
"""Options of ``ray start`` for a node of two cores in a network of its own."""
MODULES = {"genoevo": "genoevo_cli", "ray": "ray.scripts.scripts"}


def run(words, folder, home, *inside, exported=()):
    """Run a command by its words in a folder and return all that it printed; AssertionError if it fails."""
    if words[0] == "python":
        words = [sys.executable, *words[1:]]
    if words[0] in MODULES:
        words = [sys.executable, "-m", MODULES[words[0]], *words[1:]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(home), "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    # Of a busy machine:
    environment |= {"RAY_raylet_start_wait_time_s": "300", "RAY_agent_register_timeout_ms": "300000"}
    environment |= {"RAY_worker_register_timeout_seconds": "300", "RAY_gcs_server_port_wait_time_s": "120"}
    environment |= dict(setting.split("=") for setting in exported)
    placed = [*inside, "sh", "-c", 'cd "$0" && exec "$@"', str(folder), *words]
    with subprocess.Popen(placed, env=environment, stdout=-1, stderr=subprocess.STDOUT, text=True) as process:
        try:
            told, _ = process.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert not process.returncode, (words, told[-2000:])
    return told


class Machine:
    """A machine of two cores with an address in :data:`NETWORK`."""

    def __init__(self, process, name, number, home):
        self._process, self.name, self.address, self.home = process, name, f"{NETWORK}.{number}", home
        self.exported = []

    def run(self, words, folder):
        """Run a command here, see :func:`run`; ``ray start`` makes a small node."""
        inside = "nsenter", "-t", str(self._process), "-n", "-p", "-m", "-u"
        if words[:2] != ["ray", "start"]:
            return run(words, folder, self.home, *inside, exported=self.exported)
        words = [*words, *SMALL_NODE, f"--node-ip-address={self.address}"]
        for _ in range(3):  # Ray's own limits are short for a busy machine
            with suppress(AssertionError):
                return run(words, folder, self.home, *inside, exported=self.exported)
            run(["ray", "stop", "--force"], folder, self.home, *inside)
        return run(words, folder, self.home, *inside, exported=self.exported)


def _ip(*words):
    subprocess.run(["ip", *words], capture_output=True, text=True, check=True)


@contextmanager
def machines(*names, folder):
    """Yield a machine for each name, in one network; skip the test where namespaces cannot be made."""
    if os.geteuid() or not all(map(shutil.which, ("ip", "setpriv", "unshare", "nsenter"))):
        pytest.skip("needs root, iproute2 and util-linux")
    with ExitStack() as stack:
        bridge = f"gvm{os.getpid()}"
        try:
            _ip("link", "add", bridge, "type", "bridge")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network can be made: {error.stderr}")
        stack.callback(_ip, "link", "del", bridge)
        _ip("link", "set", bridge, "up")
        yield [
            stack.enter_context(_machine(name, number, bridge, folder / name)) for number, name in enumerate(names, 1)
        ]


@contextmanager
def _machine(name, number, bridge, home):
    home.mkdir()
    (home / "ray").mkdir()
    Path("/tmp/ray").mkdir(exist_ok=True)
    setup = f"mount --bind {home}/ray /tmp/ray && hostname {name} && ip link set lo up && exec sleep infinity"
    link = f"{bridge}n{number}"
    own = ["--net", "--pid", "--mount", "--uts", "--fork", "--kill-child", "--mount-proc"]
    with subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", *own, "sh", "-c", setup]) as outer:
        try:
            children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
            wait_until(lambda: children.read_text().strip())
            (process,) = children.read_text().split()
            wait_until(lambda: Path(f"/proc/{process}/comm").read_text() == "sleep\n")
            _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", process)
            _ip("link", "set", link, "master", bridge, "up")
            inside = Machine(process, name, number, home)
            for words in (["addr", "add", f"{inside.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
                inside.run(["ip", *words], home)
            yield inside
        finally:
            outer.send_signal(signal.SIGKILL)  # and with it all processes of the machine
