"""A Ray cluster of several nodes on this machine; each node is a raylet with its own processes and object store."""

import os
import random
import re
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import ExitStack, contextmanager, suppress
from functools import partialmethod, wraps
from pathlib import Path

QUICK = {
    # By Ray's own numbers a node that is killed goes unnoticed for some 15 seconds.
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
    # Workers that nobody asked for yet cost a second of a core each.
    "enable_worker_prestart": False,
    "prestart_worker_first_driver": False,
    # On a busy machine, Ray's own thirty seconds are short; a node without its agents ends.
    "agent_register_timeout_ms": 300_000,
    "worker_register_timeout_seconds": 300,
}
IMPATIENT = {**QUICK, "health_check_timeout_ms": 6000, "health_check_failure_threshold": 1}
"""Settings by which a node that stands still is lost after six seconds, and not after thirty."""
FEW = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
"""Settings of a head with few processes, which is quicker to start."""
STORE = 80 * 2**20  # bytes of each node's object store; Ray takes no less than 75 MiB
AGENT_PORTS = "metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port"
ENVIRONMENT = {
    "RAY_worker_niceness": "0",  # at Ray's 15, workers get no time on a busy machine
    "RAY_AUTH_MODE": "disabled",  # the cluster accepts connections of this machine alone
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_server_port_wait_time_s": "120",  # of a busy machine
    # Tests lose heads. After 60 seconds Ray would end the process that runs them, if a question to one is left.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
}


class Nodes:
    """The nodes of a cluster; the head, ``nodes[0]``, is the one that this process is connected to."""

    def __init__(self, cluster, settings):
        self._cluster, self._settings, self.nodes = cluster, settings, []
        self._started, self._suspended = [], []

    @property
    def address(self):
        return self._cluster.address

    def add(self, cpus):
        """Start a node with *cpus* cores and wait for it."""
        settings = {**agent_ports(), **({} if self.nodes else self._settings)}
        node = self._cluster.add_node(num_cpus=cpus, object_store_memory=STORE, **settings)
        self.nodes.append(node)
        self._started += _processes(node)
        return node

    def kill(self, node):
        """Kill all processes of a node at once, as a power cut does."""
        workers = self.actors(node, "")
        self._cluster.remove_node(node, allow_graceful=False)
        _kill(workers)  # they would notice soon that their raylet is gone
        self.nodes.remove(node)

    def suspend(self, node, name):
        """Suspend a node with its actors whose class begins with *name*; return what lets them go on."""
        actors = self.actors(node, name)
        assert actors
        self._suspended += actors
        return suspend([self.raylet(node), *actors])

    def have(self, count):
        """Have this number of nodes of two cores beside the head, and all of their cores free."""
        for node in self.nodes[1 + count :]:
            self.kill(node)
        while len(self.nodes) <= count:
            self.add(2)
        wait_until(lambda: _free_cores() == self.cores() == 2 * count)

    def is_alive(self, node):
        """Whether Ray has not given the node up."""
        import ray

        return node.node_id in {seen["NodeID"] for seen in ray.nodes() if seen["Alive"]}

    def cores(self):
        import ray

        return ray.cluster_resources().get("CPU", 0)

    def close(self):
        """Kill all processes of all nodes, and wait for those that this process has started."""
        workers = [worker for node in self.nodes for worker in self.actors(node, "")]
        for node in self.nodes:
            self._started += _processes(node)
        for process in self._started:
            process.kill()
        # A worker whose node was given up while both were suspended may not end by itself.
        _kill([*workers, *(worker for worker in self._suspended if _is_worker(worker))])
        self._cluster.shutdown()
        for process in self._started:
            process.wait()

    def raylet(self, node):
        return node.all_processes["raylet"][0].process.pid

    def actors(self, node, name):
        """Return the process IDs of the actors on *node* whose class, or task whose function, begins with *name*."""
        children = _children(self.raylet(node))
        return [int(child) for child in children if _is_worker(child, name)]


def _is_worker(process, name=""):
    return f"ray::{name}" in _text(Path(f"/proc/{process}/cmdline"))


def agent_ports():
    """Return a free port for each of a node's agents, by Ray's setting.

    A node that waits for its agents to choose them ends after 15 seconds, and no setting gives it more.
    """
    found = {}
    while len(found) < len(AGENT_PORTS):
        port = random.randrange(20_000, 32_768)  # below those that the system gives to connections
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            found.setdefault(port, AGENT_PORTS[len(found)])
    return {name: port for port, name in found.items()}


def _children(process):
    """Return the process IDs of a process's children as text; none if it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return " ".join(_text(path) for path in Path(f"/proc/{process}/task").glob("*/children")).split()
    return []


def _text(path):
    """Return the text of a file under ``/proc``; empty where its process or thread has just ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return path.read_text()
    return ""


def _processes(node):
    return [info.process for infos in node.all_processes.values() for info in infos]


def _kill(processes):
    """Kill processes, as far as they have not ended."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _free_cores():
    import ray

    return ray.available_resources().get("CPU", 0)


def _patient(get_node):
    """Wait longer than Ray's thirty seconds for a node that starts on a busy machine."""
    if hasattr(get_node, "__wrapped__"):  # by a cluster that still runs
        return get_node

    @wraps(get_node)
    def wait(*arguments):
        for _ in range(10):
            with suppress(RuntimeError):
                return get_node(*arguments)
        return get_node(*arguments)

    return wait


def _telling_ports(start):
    """Tell a raylet the one port of :func:`agent_ports` that Ray keeps from it."""
    if hasattr(start, "__wrapped__"):
        return start

    @wraps(start)
    def wait_for_none(command, process_type, *arguments, **settings):
        if process_type == "raylet":
            (port,) = re.findall(r"--listen-port=(\d+)", " ".join(command))
            command = [*command, f"--dashboard_agent_listen_port={port}"]
        return start(command, process_type, *arguments, **settings)

    return wait_for_none


@contextmanager
def cluster(*cpus, **head):
    """Run a cluster with a node for each number of cores, the head first, and connect this process to it.

    *head* are more settings of the head. A cluster that tests share is ended before: a process has one connection.
    """
    import pytest
    from ray._private import services
    from ray.cluster_utils import Cluster

    end_shared()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)}.items():
            patch.setenv(name, value)
        patch.setattr(services, "get_node", _patient(services.get_node))
        patch.setattr(services, "start_ray_process", _telling_ports(services.start_ray_process))
        patch.setattr(Cluster, "_wait_for_node", partialmethod(Cluster._wait_for_node, timeout=300))
        nodes = _start(cpus, {**FEW, "_system_config": QUICK, **head}, patch)
        try:
            yield nodes
        finally:
            _end(nodes)


def _start(cpus, head, patch):
    """Start the nodes and connect to them; try it three times, since Ray's own processes race on a busy machine."""
    for _ in range(2):
        try:
            return _started(cpus, head, patch)
        except Exception:
            print("a Ray cluster that did not start is started again", traceback.format_exc(), sep="\n")
    return _started(cpus, head, patch)


def _started(cpus, head, patch):
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster()
    nodes = Nodes(made, head)
    try:
        for count in cpus:
            nodes.add(count)
        patch.setenv("RAY_ADDRESS", made.address)  # of other processes, and of ray.init()
        ray.init(log_to_driver=False, logging_level="warning")
    except BaseException:
        _end(nodes)
        raise
    return nodes


def _end(nodes):
    import ray

    ray.shutdown()
    nodes.close()


_shared, _shared_nodes = ExitStack(), []


def shared():
    """Return a cluster of a head without cores and three nodes of two, all free, for tests that leave it as it is.

    Starting one takes longer than most tests, so that tests share it until another is started.
    """
    import ray

    if _shared_nodes:
        with suppress(AssertionError):
            if not ray.is_initialized():
                ray.init(log_to_driver=False, logging_level="warning")
            _shared_nodes[0].have(3)
            return _shared_nodes[0]
    nodes = _shared.enter_context(cluster(0, 2, 2, 2))
    _shared_nodes.append(nodes)
    return nodes


def end_shared():
    """End the cluster that tests share, if it runs."""
    _shared_nodes.clear()
    _shared.close()


def fill_stores():
    """Fill the object stores of all nodes, so that Ray moves a part to the disk; hold the result to keep it so."""
    import numpy as np
    import ray

    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    on = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    fill = ray.remote(num_cpus=0)(lambda: np.ones(30 * 2**20, np.uint8))
    # Ninety of each node's eighty MiB.
    held = [fill.options(scheduling_strategy=on(node, soft=False)).remote() for node in nodes for _ in range(3)]
    held += [ray.put(np.ones(30 * 2**20, np.uint8)) for _ in range(3)]
    ray.wait(held, num_returns=len(held), fetch_local=False)
    return held


def pause(processes, seconds):
    """Suspend processes now, and let them go on after so many seconds."""
    threading.Timer(seconds, suspend(processes)).start()


def suspend(processes):
    """Suspend processes and return what lets them go on."""

    def go_on():
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)

    for process in processes:
        os.kill(process, signal.SIGSTOP)
    return go_on


def wait_until(condition, seconds=120):
    """Wait until *condition* holds; AssertionError if it does not within *seconds*."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
