import csv
import io
import json
import shutil

import pytest

from genoevo_mega.report.content import data_of
from genoevo_mega.report.reader import RunReader
from genoevo_runs.report.page import render

NAMES = ("report", "frontier", "comparison", "evolution", "front", "onemax")
MALICIOUS = "<img src=x onerror=alert(1)>\"'&"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
@pytest.mark.parametrize("name", [*NAMES, "fifty"])
def test_a_page_fits_the_screen_and_keeps_to_wcag_aa(name, size, scheme, pages, visit, violations, screenshot):
    page = visit(pages[name], size=size, scheme=scheme)
    screenshot(page, f"{name}-{size}-{scheme}")
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for details in page.query_selector_all("details"):
        details.evaluate("one => one.open = true")
    assert violations(page) == []


def test_axe_finds_what_is_wrong(pages, visit, violations):
    page = visit(pages["report"])
    page.evaluate("document.querySelector('main').style.color = '#ccc'")
    assert any(one.startswith("color-contrast") for one in violations(page))


def test_a_page_that_is_wrong_is_noticed(pages, visit):
    page = visit(pages["report"])
    page.evaluate("new Image().src = 'https://example.invalid/x.png'")
    page.evaluate("console.log('hello')")
    page.wait_for_timeout(200)
    assert any("example.invalid" in fault for fault in visit.faults)
    assert any("hello" in fault for fault in visit.faults)
    visit.faults.clear()


def _label(page, section):
    return page.get_attribute(f"#{section} svg[role=img]", "aria-label")


def test_picking_a_task_shows_it(pages, visit):
    page = visit(pages["report"])
    page.select_option("#detail-task", "drawer-close-v3")
    assert _label(page, "detail") == "Success of drawer-close-v3"
    assert "drawer-close-v3" in _label(page, "genealogy")


def test_a_cards_button_leads_to_its_task(pages, visit):
    page = visit(pages["report"])
    page.click("article[data-task=drawer-close-v3] button")
    assert page.evaluate("document.activeElement.id") == "detail-task"
    assert page.input_value("#detail-task") == "drawer-close-v3"


def test_the_filter_leaves_the_cards_that_fit(pages, visit):
    page = visit(pages["report"])
    page.fill("#filter", "REACH")
    assert page.locator("article.card:visible h3").all_inner_texts() == ["reach-v3"]
    assert "1 of 2 tasks" in page.inner_text("#tasks")
    assert page.locator("article.card:visible").count() == 1


def test_cards_are_put_in_order(pages, visit):
    page = visit(pages["report"])
    data = json.loads(page.inner_text("#data") or page.text_content("#data"))["runs"][0]
    newest = {t: data["evaluation"]["success"][i]["rate"][-1] for i, t in enumerate(data["tasks"])}
    for order, falling in (("best first", True), ("worst first", False)):
        page.select_option("#order", order)
        shown = page.eval_on_selector_all("article.card", "all => all.map(one => one.dataset.task)")
        assert [newest[task] for task in shown] == sorted(newest.values(), reverse=falling)


@pytest.mark.parametrize(
    ("button", "section", "told"),
    [
        ("strip-effective", "stages", "Effective modules of every task"),
        ("matrix-similarity", "community", "likeness of tasks"),
        ("matrix-donations", "community", "who gave to whom"),
    ],
)
def test_a_toggle_changes_its_picture(button, section, told, pages, visit):
    page = visit(pages["report"])
    assert told not in _label(page, section)
    page.click(f"#{button}")
    page.wait_for_selector(f"#{section} svg[role=img]")
    assert told in _label(page, section)
    assert page.get_attribute(f"#{button}", "aria-pressed") == "true"
    assert page.evaluate("document.activeElement.id") == button


def test_the_frontier_of_the_picked_task_is_shown(pages, visit):
    page = visit(pages["frontier"])
    page.select_option("#frontier-task", "reacher-2goals")
    assert _label(page, "frontier") == "Success of reacher-2goals against multiply-adds"
    data = json.loads(page.text_content("#data"))["runs"][0]
    shown = page.locator("#frontier figure svg[role=img] rect").count()
    assert shown == len(data["frontiers"][data["tasks"].index("reacher-2goals")]) > 1


def test_a_column_sorts_its_table_both_ways(pages, visit):
    page = visit(pages["report"])
    seen = []
    for order in ("descending", "ascending"):
        page.click("[id='sort-mean return']")
        assert page.get_attribute("th:has([id='sort-mean return'])", "aria-sort") == order
        values = page.locator("#success tbody tr td:nth-child(4)").all_inner_texts()
        seen.append([float(value.replace(",", "")) for value in values])
    assert seen[0] == sorted(seen[0], reverse=True)
    assert seen[1] == seen[0][::-1]


def test_the_arrow_keys_read_a_chart_out(pages, visit):
    page = visit(pages["report"])
    slider = page.locator("#success input[type=range]")
    slider.focus()
    texts = []
    for _ in range(3):
        texts.append(page.inner_text("#success output"))
        assert slider.get_attribute("aria-valuetext") == texts[-1]
        page.keyboard.press("ArrowLeft")
    assert len(set(texts)) == 3


def test_the_pointer_reads_a_chart_out(pages, visit):
    page = visit(pages["report"])
    before = page.inner_text("#success output")
    page.hover("#success figure svg", position={"x": 80, "y": 60})
    assert page.inner_text("#success output") != before


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_does_something_is_reached_by_the_tab_key(name, pages, visit):
    page = visit(pages[name])
    wanted = page.evaluate(
        "() => [...document.querySelectorAll('a[href], button, select, input, summary, [tabindex]')]"
        ".filter(one => one.checkVisibility()).map((one, i) => (one.dataset.n = i))"
    )
    reached = set()
    for _ in range(len(wanted) + 2):
        page.keyboard.press("Tab")
        number = page.evaluate("document.activeElement.dataset.n")
        reached.add(None if number is None else int(number))
    assert set(wanted) <= reached


@pytest.mark.parametrize("name", NAMES)
def test_the_data_of_every_part_can_be_taken_away(name, pages, visit):
    page = visit(pages[name])
    sections = page.eval_on_selector_all("main section", "all => all.map(one => one.id)")
    assert len(sections) >= 5
    for section in sections:
        page = visit(pages[name])  # Chromium lets a page give ten files at most without being asked
        with page.expect_download() as download:
            page.click(f"#{section}-CSV")
        rows = list(csv.reader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
        assert len(rows) > 1 or section in ("config", "genealogy")
        assert len({len(row) for row in rows}) == 1
        assert download.value.suggested_filename.endswith(f"-{section}.csv")
        with page.expect_download() as download:
            page.click(f"#{section}-JSON")
        assert json.loads(download.value.path().read_text(encoding="utf-8")) is not None


def test_success_taken_away_is_the_runs(pages, trained, visit):
    page = visit(pages["report"])
    with page.expect_download() as download:
        page.click("#success-CSV")
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    records = [json.loads(line) for line in (trained[0] / "metrics.jsonl").read_text().splitlines()]
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    greedy = [(one["step"], task, rate) for one in evaluations for task, rate in one["greedy_success"].items()]
    taken = [(int(row["step"]), row["task"], float(row["success"])) for row in rows if row["kind"] == "greedy"]
    assert sorted(taken) == sorted(greedy)


def test_a_comparison_shows_the_run_that_is_picked(pages, visit):
    page = visit(pages["comparison"])
    assert page.locator("#success .legend li").all_inner_texts() == ["first", "second"]
    command = page.text_content("#origin code")
    page.select_option("#config-run", "1")
    assert page.text_content("#origin code") != command
    assert page.input_value("#detail-run") == "1"


def test_names_are_text_wherever_they_stand(trained, tmp_path, visit, violations):
    directory = tmp_path / MALICIOUS
    shutil.copytree(trained[0], directory)
    quoted = json.dumps(MALICIOUS)[1:-1]
    for name in ("metrics.jsonl",):
        path = directory / name
        path.write_text(path.read_text().replace("reach-v3", quoted))
    page_file = tmp_path / "page.html"
    page_file.write_text(render(data_of([RunReader(directory).read()])), encoding="utf-8")
    page = visit(page_file.as_uri())
    assert page.locator("#page img").count() == 0
    assert page.inner_text("h1") == MALICIOUS
    assert page.title() == MALICIOUS
    assert MALICIOUS in page.locator("article.card h3").all_inner_texts()
    page.select_option("#detail-task", MALICIOUS)
    page.wait_for_selector("#detail svg[role=img]")
    assert _label(page, "detail") == f"Success of {MALICIOUS}"
    assert violations(page) == []


def test_a_comparison_with_a_run_whose_structure_does_not_evolve(trained, tmp_path, visit, violations):
    fixed = tmp_path / "fixed"
    shutil.copytree(trained[1], fixed)
    records = [json.loads(line) for line in (fixed / "metrics.jsonl").read_text().splitlines()]
    for record in records:
        record.pop("elite", None)
        record.pop("genealogy", None)
    (fixed / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    page_file = tmp_path / "page.html"
    page_file.write_text(render(data_of([RunReader(run).read() for run in (fixed, trained[0])])), encoding="utf-8")
    page = visit(page_file.as_uri())
    assert page.locator("#community").count() == 0
    assert violations(page) == []
    page.select_option("#tasks-run", "1")
    page.wait_for_selector("#community svg[role=img]")


def test_a_page_asks_for_nothing_but_itself(pages, visit):
    page = visit(pages["report"])
    entries = page.evaluate("performance.getEntriesByType('resource').map(one => one.name)")
    assert entries == []


def test_a_slider_chooses_a_solution_of_the_front_in_both_pictures(pages, visit):
    page = visit(pages["front"])
    slider = page.get_by_role("slider", name="Solution of the front")
    slider.focus()
    chosen = page.locator("#front svg circle[fill=none]"), page.locator("#front svg path[stroke-width='3']")
    before = [one.evaluate("one => one.outerHTML") for one in chosen]
    slider.press("Home")
    page.wait_for_function(
        "before => document.querySelector('#front svg circle[fill=none]').outerHTML !== before", arg=before[0]
    )
    assert all(one.evaluate("one => one.outerHTML") != old for one, old in zip(chosen, before, strict=True))
    assert page.locator("#front output").inner_text().startswith("solution 1 of ")


def test_other_objectives_can_be_drawn_against_each_other(pages, visit):
    page = visit(pages["front"])
    page.locator("#front-upwards").select_option(label="objective 3")
    assert page.locator("#front svg").first.get_by_text("objective 3, more is better").count() == 1
