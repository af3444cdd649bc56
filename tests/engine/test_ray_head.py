"""The look at the head of a Ray cluster, with a stand-in for Ray and a socket for the head."""

import socket
import threading
import time
from types import SimpleNamespace

import pytest

from genoevo.evaluation import ray_cluster
from genoevo.evaluation.ray_cluster import Head


class Ray:
    """What :class:`Head` calls; *answer* is what the head says when it is asked for its cluster."""

    def __init__(self, port):
        self.answer, self.is_shut_down, self.is_client = lambda: "ours", False, False
        self.util = SimpleNamespace(client=SimpleNamespace(ray=SimpleNamespace(is_connected=lambda: self.is_client)))
        self._raylet = SimpleNamespace(GcsClient=lambda address: SimpleNamespace(cluster_id=self.answer()))
        node = SimpleNamespace(cluster_id="ours")
        self._private = SimpleNamespace(worker=SimpleNamespace(global_worker=SimpleNamespace(node=node)))
        self.get_runtime_context = lambda: SimpleNamespace(gcs_address=f"127.0.0.1:{port}")

    def shutdown(self):
        self.is_shut_down = True


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(ray_cluster, "EVERY", 0.01)
    monkeypatch.setattr(ray_cluster, "WITHIN", 0.5)


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def ray(server):
    return Ray(server.getsockname()[1])


def look_for(seconds, head):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        head.check()
        time.sleep(0.02)


def test_a_head_that_answers_is_not_missed(ray):
    head = Head(ray, RuntimeError)
    look_for(0.7, head)
    head.wait()
    assert not head.is_lost
    assert not ray.is_shut_down


def test_a_head_that_is_away_for_a_while_is_not_missed(ray, server):
    port = server.getsockname()[1]
    head = Head(ray, RuntimeError)
    server.close()
    look_for(0.1, head)
    with socket.create_server(("127.0.0.1", port)):
        head.wait()
        look_for(0.4, head)


def test_a_head_that_is_gone_is_named_and_the_connection_ended(ray, server):
    head = Head(ray, RuntimeError)
    server.close()
    message = r"^the head of the Ray cluster at 127.0.0.1:\d+ has not answered for 0\.5 s$"
    with pytest.raises(RuntimeError, match=message):
        look_for(5, head)
    assert head.is_lost
    assert ray.is_shut_down
    with pytest.raises(RuntimeError, match=message):
        head.check()
    with pytest.raises(RuntimeError, match=message):
        head.wait()


def test_a_head_that_stands_still_does_not_hold_the_process(ray):
    head, over = Head(ray, RuntimeError), threading.Event()
    ray.answer = over.wait
    with pytest.raises(RuntimeError, match="has not answered"):
        look_for(5, head)
    over.set()


def test_a_head_of_another_cluster_has_restarted(ray):
    head = Head(ray, RuntimeError)
    ray.answer = lambda: "another"
    with pytest.raises(RuntimeError, match="has restarted and does not know this process"):
        head.wait()
    assert ray.is_shut_down


def test_an_error_of_ray_s_client_is_no_answer(ray):
    def refuse():
        raise RuntimeError("Failed to connect to GCS")

    head = Head(ray, RuntimeError)
    ray.answer = refuse
    with pytest.raises(RuntimeError, match="has not answered"):
        head.wait()


def test_a_process_that_was_suspended_does_not_blame_the_head(ray):
    head = Head(ray, RuntimeError)
    time.sleep(0.6)
    look_for(0.1, head)


def test_behind_ray_s_client_the_head_is_not_looked_at(ray, server):
    ray.is_client = True
    head = Head(ray, RuntimeError)
    server.close()
    look_for(0.7, head)
    head.wait()
