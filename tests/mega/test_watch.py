import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.experiments import runs
from genoevo_mega.report.content import data_of
from genoevo_mega.report.reader import RunReader
from genoevo_runs.errors import UserError
from genoevo_runs.report.server import HOST, Watch


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("watch") / "run"
    config = build_config(preset("smoke"), {"environment": {"episode_length": 10}, "evaluation": {"at_end": False}})
    runs.create(directory, config, ["test"], lambda status: None).run(160)
    return directory


def _watch(directory, port=0):
    return Watch(RunReader(directory), data_of, port)


@contextmanager
def _served(directory):
    with _watch(directory) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_the_page_and_its_data_lie_under_the_token(run):
    with _served(run) as server:
        answer, content = _ask(server, f"/{server.token}/")
        assert answer.status == 200
        assert b'data-live="5"' in content
        answer, content = _ask(server, f"/{server.token}/data.json")
        assert json.loads(content)["runs"][0]["steps"] == 160
        assert _ask(server, f"/{server.token}/other")[0].status == 404


@pytest.mark.parametrize(
    "path",
    ["/", "/wrong/", "/wrong/data.json", "/data.json", "//", "/{token}", "/%/", "/%C3%A9/"],
)
def test_without_the_token_everything_is_forbidden(run, path):
    with _served(run) as server:
        answer, content = _ask(server, path.format(token=server.token))
        assert answer.status == 403
        assert server.token.encode() not in content


def test_every_server_has_a_token_of_its_own(run):
    with _watch(run) as first, _watch(run) as second:
        assert first.token != second.token
        assert len(first.token) >= 32


def test_another_host_name_is_forbidden(run):
    with _served(run) as server:
        assert _ask(server, f"/{server.token}/", Host="evil.example:80")[0].status == 403
        assert _ask(server, f"/{server.token}/", Host=f"localhost:{server.server_port}")[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(run, method):
    with _served(run) as server:
        assert _ask(server, f"/{server.token}/", method)[0].status == 501


def test_only_this_machine_is_served(run):
    with _watch(run) as server:
        assert server.socket.getsockname()[0] == "127.0.0.1"


def test_data_that_has_not_changed_is_not_sent_again(run):
    with _served(run) as server:
        path = f"/{server.token}/data.json"
        tag = _ask(server, path)[0].headers["ETag"]
        answer, content = _ask(server, path, **{"If-None-Match": tag})
        assert (answer.status, content) == (304, b"")


def test_the_data_follow_the_run(run, tmp_path):
    directory = tmp_path / "run"
    shutil.copytree(run, directory)
    lines = (directory / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (directory / "metrics.jsonl").write_bytes(lines[0])
    with _served(directory) as server:
        path = f"/{server.token}/data.json"
        first, content = _ask(server, path)
        assert json.loads(content)["runs"][0]["rounds"] == 1
        (directory / "metrics.jsonl").write_bytes(b"".join(lines))
        answer, content = _ask(server, path, **{"If-None-Match": first.headers["ETag"]})
        assert answer.status == 200
        assert json.loads(content)["runs"][0]["rounds"] == len(lines) > 1


def test_a_run_that_gets_damaged_says_so_and_the_server_stays(run, tmp_path):
    directory = tmp_path / "run"
    shutil.copytree(run, directory)
    with _served(directory) as server:
        with (directory / "metrics.jsonl").open("ab") as file:
            file.write(b"broken\n")
        answer, content = _ask(server, f"/{server.token}/")
        assert answer.status == 503
        assert b"is corrupt" in content
        assert _ask(server, "/wrong/")[0].status == 403


def test_head_has_no_body(run):
    with _served(run) as server:
        answer, content = _ask(server, f"/{server.token}/", "HEAD")
        assert (answer.status, content) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 10_000


def test_a_port_that_is_taken_is_named(run):
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port = {port}: cannot be opened"):
            _watch(run, port)


def test_ctrl_c_ends_it_cleanly_and_leaves_the_run_as_it_was(run):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    command = [sys.executable, "-m", "genoevo_cli", "mega", "watch", str(run)]
    # A test runner in the background may ignore Ctrl-C, and its children with it.
    listen = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **listen)
    try:
        _look(process.stderr.readline(), run)
        os.kill(process.pid, signal.SIGINT)
        out, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, error) == (0, "", "Stopped.\n")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def _look(line, run):
    """Ask for the page at the address that *line* tells, and leave without reading it."""
    assert f"{run} is at http://127.0.0.1:" in line
    port, path = line.split("http://127.0.0.1:")[1].split(" until")[0].split("/", 1)
    connection = http.client.HTTPConnection(HOST, int(port), timeout=60)
    connection.request("GET", f"/{path}")
    assert connection.getresponse().status == 200
    connection.close()
