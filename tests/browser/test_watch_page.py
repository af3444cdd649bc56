import re
import threading
from contextlib import contextmanager

import pytest

from genoevo_mega.report.content import data_of
from genoevo_mega.report.reader import RunReader
from genoevo_runs.report.server import Watch
from tests.browser.conftest import SIZES

_NO_ANSWER = re.compile(r"net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED|ABORTED)|SOCKET_NOT_CONNECTED|EMPTY_RESPONSE)$")


@contextmanager
def _served(directory):
    with Watch(RunReader(directory), data_of, interval=0.3) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _rounds(page):
    return int(page.inner_text(".facts div:nth-child(2) dd").replace(",", ""))


def _lasting(violations, page):
    """Return violations that are found three times in a row: the page is drawn anew while it is checked."""
    for _ in range(3):
        if not (found := violations(page)):
            break
    return found


def test_the_page_follows_a_run_that_trains(training, visit, screenshot, violations):
    directory, _ = training
    with _served(directory) as server:
        page = visit(server.url, also=(f"{server.url}data.json",))
        page.wait_for_selector("#filter", timeout=120_000)
        page.fill("#filter", "drawer")
        page.focus("#filter")
        before = _rounds(page)
        page.evaluate("window.sameDocument = true")
        page.wait_for_function(
            f"() => Number(document.querySelector('.facts div:nth-child(2) dd').textContent) > {before + 1}",
            timeout=120_000,
        )
        assert page.evaluate("window.sameDocument")
        assert page.input_value("#filter") == "drawer"
        assert page.locator("article.card:visible").count() == 1
        assert page.evaluate("document.activeElement.id") == "filter"
        assert page.inner_text(".live").startswith("live")
        page.fill("#filter", "")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for size, extent in SIZES.items():
                page.set_viewport_size(extent)
                page.wait_for_timeout(300)
                screenshot(page, f"watch-{size}-{scheme}")
                assert page.evaluate("document.documentElement.scrollWidth") <= extent["width"]
                assert _lasting(violations, page) == []
        assert visit.faults == []
    page.wait_for_selector(".live.lost", timeout=20_000)
    assert "the server has stopped" in page.inner_text(".live")
    # What Chromium itself says of requests that a server no longer answers, by the state of its connection.
    visit.faults[:] = [fault for fault in visit.faults if not _NO_ANSWER.search(fault)]


def test_a_page_opened_before_the_first_round_fills_by_itself(training, visit):
    directory, _ = training
    (directory / "metrics.jsonl").touch()
    with _served(directory) as server:
        page = visit(server.url, also=(f"{server.url}data.json",), ready="main")
        page.wait_for_selector("main svg", timeout=120_000)
        assert _rounds(page) > 0


@pytest.mark.parametrize("path", ["", "wrong/"])
def test_a_browser_without_the_token_sees_nothing(path, trained, chromium):
    with _served(trained[0]) as server:
        page = chromium.new_page()
        answer = page.goto(f"http://127.0.0.1:{server.server_port}/{path}")
        assert answer.status == 403
        assert "first" not in page.content()
        page.close()
