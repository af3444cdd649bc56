"""Whether selection tells genotypes apart: what the records of rounds say, and when a warning is given."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from genoevo.community import Selection
from genoevo.decode import output_shares, stages_of
from genoevo_cli.terminal import structure
from genoevo_mega.experiments import runs
from genoevo_mega.experiments.selection import SelectionLog
from genoevo_mega.report.content import data_of
from genoevo_mega.report.reader import RunReader
from tests.mega.frontiers import TASKS, train

pytestmark = pytest.mark.usefixtures("quick_runs")


def _record(survivors=(0,), **selection):
    return {
        "kind": "round",
        "success": dict.fromkeys("ab"[: len(survivors)], 0.0),
        "genealogy": {"survivors": list(survivors), "children": [[[1, 0, -1], [1, 0, -1]]] * len(survivors)},
        "selection": selection,
    }


def _genotypes(success, returns, age):
    return {"a": {"round_success": success, "round_return": returns, "age": age}}


def _summary(records, rule):
    return SelectionLog.of_records(records).summary(rule)


def _played(shares, count, rng):
    """Records of one task in which the elite does better than each of two old genotypes with these chances."""
    wins = rng.random((count, 2)) < shares
    return [_record(genotypes=_genotypes([0, 0, 0], [0.5, *(1.0 - row)], [9, 9, 9])) for row in wins]


def test_survival_leaves_out_the_round_that_chose_the_first_elites():
    found = _summary([_record((2, 1)), _record((0, 1)), _record((0, 0))], "round")
    assert found["survival"] == {"share": 0.75, "cases": 4, "chance": pytest.approx(1 / 3)}


@pytest.mark.parametrize(("chance", "warned"), [(1 / 3, True), (0.2, True), (0.6, False)])
def test_under_the_rule_of_rounds_survival_by_chance_is_warned_of(chance, warned):
    rng = np.random.default_rng(1)
    survivors = np.where(rng.random((300, 2)) < chance, 0, 1)
    found = _summary([_record(row) for row in survivors.tolist()], "round")
    assert (found["warning"] is not None) == warned
    if warned:
        assert "of 598 rounds of a task, by chance it would be 33.3% (up to 37.1%)" in found["warning"]


def test_rounds_that_tell_no_ages_say_nothing_of_wins():
    told = {"a": {"episodes": [1, 1, 1], "round_success": [1, 0, 0], "round_return": [1, 0, 0]}}
    assert _summary([_record(genotypes=told)] * 3, "round")["wins"] is None


def test_few_rounds_are_no_reason_for_a_warning():
    assert _summary([_record((1,))] * 20, "round")["warning"] is None
    assert _summary(_played(0.5, 20, np.random.default_rng(1)), "record")["warning"] is None


def test_under_the_rule_of_records_survival_is_no_reason_for_a_warning():
    found = _summary([_record((1,))] * 300, "record")
    assert (found["survival"]["chance"], found["wins"], found["warning"]) == (None, None, None)


@pytest.mark.parametrize(("chance", "warned"), [(0.5, True), (0.3, True), (0.7, False)])
def test_elites_that_do_not_do_better_later_are_warned_of(chance, warned):
    found = _summary(_played(chance, 400, np.random.default_rng(2)), "record")
    assert abs(found["wins"]["share"] - chance) < 0.05
    assert (found["warning"] is not None) == warned
    if warned:
        assert "in 400 rounds of a task" in found["warning"]


@pytest.mark.parametrize(
    ("success", "returns", "age", "expected"),
    [
        ([1, 0, 0], [0.0, 5.0, 5.0], [4, 4, 4], 1.0),  # success goes before return
        ([0, 0, 0], [2.0, 1.0, 3.0], [4, 4, 4], 0.5),
        ([0, 0, 0], [2.0, 2.0, 3.0], [4, 4, 4], 0.25),  # a tie counts half
        ([0, 0, 0], [2.0, 1.0, 3.0], [4, 2, 1], 1.0),  # the last one is not half as old
        ([0, 0, 0], [2.0, 3.0, 3.0], [2, 1, 1], None),  # the others are new
        ([0, 0, 0], [2.0, 3.0, 3.0], [1, 2, 2], None),  # the elite had no episode before it was chosen
    ],
)
def test_an_elite_is_compared_with_genotypes_that_selection_had_seen(success, returns, age, expected):
    log = SelectionLog.of_records([_record(genotypes=_genotypes(success, returns, age))])
    assert log.wins[0, 0] == expected if expected is not None else np.isnan(log.wins[0, 0])


@pytest.mark.parametrize("early", [{}, {"survived": 1.0}, {"genotypes": {"a": [{"success": 0.5}]}}])
def test_records_of_earlier_versions_say_nothing_of_later_episodes(early):
    record = _record()
    record["selection"] = early
    assert np.isnan(SelectionLog.of_records([record, record]).wins).all()
    del record["selection"]
    assert _summary([record] * 3, "round")["survival"]["share"] == 1.0


@pytest.mark.parametrize("records", [[], [{"kind": "round", "success": {"a": 0.0}}]])
def test_without_rounds_or_genotypes_there_is_no_log(records):
    assert SelectionLog.of_records(records) is None


def test_the_overlap_is_the_newest_and_the_correlation_a_mean():
    seen = [{"overlap": 0.1, "surrogate_correlation": None}, {"overlap": 0.3, "surrogate_correlation": 0.4}]
    found = _summary([_record(**one) for one in [*seen, {"surrogate_correlation": 0.6}]], "record")
    assert (found["overlap"], found["surrogate_correlation"]) == (0.3, pytest.approx(0.5))


# ----------------------------------------------------------------------------------------------- what one sees


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("selection") / "run", steps=800)


@pytest.fixture(scope="module")
def info(run):
    return runs.info(run)


def test_info_tells_which_module_the_output_of_each_elite_passes_through(run, info):
    community = runs.resume(run).state.evolver.community
    elites = community.population[:: community.size]
    shares = output_shares(community.weights(elites), stages_of(elites, community.layout))[:, 1:]
    for task, name in enumerate(TASKS):
        told = info["module_shares"][name]
        assert told == pytest.approx(shares[task, : len(told)].tolist(), abs=1e-4)


def test_info_lists_each_frontier_with_its_elite_cheapest_first(run, info):
    evolver = runs.resume(run).state.evolver
    for task, name in enumerate(TASKS):
        listed = info["frontier"][name]
        assert {one["bits"] for one in listed} == {member.bits for member in evolver.members(task)}
        assert [one["elite"] for one in listed].count(True) == 1
        costs = [one["multiply_adds"] for one in listed]
        assert costs == sorted(costs)
        priced = {member.bits: member.price for member in evolver.members(task) if member.settled}
        assert all(one["multiply_adds"] == priced.get(one["bits"], one["multiply_adds"]) for one in listed)


def test_info_summarises_the_rounds_up_to_its_checkpoint(run, info):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rounds = [record for record in records if record["kind"] == "round"]
    assert info["selection"] == SelectionLog.of_records(rounds).summary("record")
    assert info["selection"]["survival"]["cases"] == (len(rounds) - 1) * len(TASKS)


def test_info_does_without_metrics(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / "metrics.jsonl").write_text("no record\n")
    assert runs.info(copy)["selection"] is None


def test_an_architecture_that_does_not_evolve_has_none_of_it(tmp_path):
    other = {"architecture": "mtsac", "frontier": {"size": 0}, "candidates": {"children": 0}}
    found = runs.info(train(tmp_path / "run", steps=40, **other))
    assert (found["module_shares"], found["frontier"], found["selection"]) == (None, None, None)


def test_the_page_has_curves_of_selection_and_the_frontiers_of_the_checkpoint(run, info):
    read = RunReader(run).read()
    [page] = data_of([read])["runs"]
    count = len(page["window_steps"])
    assert page["selection"]["summary"] == info["selection"]
    assert all(len(page["selection"]["survival"][name]) == count for name in ("rate", "low", "high"))
    assert len(page["selection"]["overlap"]) == count
    for task, name in enumerate(TASKS):
        shown, listed = page["frontiers"][task], info["frontier"][name]
        assert [point[0] for point in shown] == [one["multiply_adds"] for one in listed]
        assert [point[1] for point in shown] == [round(1000 * one["estimate"]) for one in listed]
        assert all(0 <= low <= rate <= high <= 1000 for _, rate, low, high, _, _ in shown)


def test_before_the_first_checkpoint_the_page_has_the_recorded_frontiers(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy", ignore=shutil.ignore_patterns("checkpoints"))
    [page] = data_of([RunReader(copy).read()])["runs"]
    recorded = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        recorded |= json.loads(line).get("selection", {}).get("frontier", {})
    assert [[point[0] for point in shown] for shown in page["frontiers"]] == [
        [one["price"] for one in recorded[name]] for name in TASKS
    ]


def test_a_page_of_a_run_whose_rounds_have_no_record_of_selection_is_drawn(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy", ignore=shutil.ignore_patterns("checkpoints"))
    path = copy / "metrics.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({k: v for k, v in one.items() if k != "selection"}) + "\n" for one in records))
    [page] = data_of([RunReader(copy).read()])["runs"]
    assert page["frontiers"] == [[], []]
    assert page["selection"]["overlap"] is page["selection"]["wins"] is None
    assert page["selection"]["survival"]["rate"][-1] is not None


def test_a_warning_stands_in_the_head_of_the_page(run):
    read = RunReader(run).read()
    lost = replace(SelectionLog.of_records([_record((1, 1))] * 300), size=2)
    config = read.config.model_copy(update={"selection": Selection(rule="round")})
    other = replace(read, config=config, log=replace(read.log, selection=lost))
    [_, told] = data_of([other])["summary"]
    assert told.startswith("Warning: run: elites survived 0.0% of 598 rounds of a task, by chance it would be 50.0%")
    assert len(data_of([read])["summary"]) == 1


def test_the_command_prints_modules_frontiers_selection_and_the_warning(info, capsys):
    found = {**info["selection"], "warning": "nothing was found"}
    structure.print_evolved({**info, "selection": found})
    text = capsys.readouterr().err
    assert "module (share)" in text
    assert text.count("elite") >= len(TASKS)
    assert "selection: elites survived" in text
    assert "warning: nothing was found" in text
