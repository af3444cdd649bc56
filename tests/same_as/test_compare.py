"""What the comparison notices, and what it leaves alone."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from genoevo.state import save
from tests.same_as.__main__ import Comparison
from tests.same_as.compare import differences, renamed
from tests.same_as.facts import flat, of_run, of_state, of_tensors, without
from tests.same_as.runs import NAMES, SEARCHES, SETTINGS, TRAININGS, Search, nested, translated
from tests.same_as.searches import COMMUNITIES, EVOLUTIONS, STAGED, run_half
from tests.same_as.sides import FailedError, Memory, Side, commit_of

WEIGHTS = {"actor/pool.0": np.arange(12, dtype=np.float32).reshape(3, 4), "adam/step": np.float32([7.0])}
INFO = {"digest": "d", "steps": 40, "time": {"learning": 1.5}, "checkpoint": "000000000040"}
STATE = {"version": 3, "steps": 40, "time": {"learning": 1.5}, "work": {"operations": 9.0, "matrix_rate": 2.5}}
LINES = [{"kind": "round", "step": 20, "losses": {"critic": 0.25}}, {"kind": "round", "step": 40, "losses": {}}]


def write_run(directory, *, weights=WEIGHTS, lines=LINES, state=STATE):
    checkpoint = directory / "checkpoints" / "000000000040"
    checkpoint.mkdir(parents=True)
    (directory / "replay").mkdir()
    save_file(weights, checkpoint / "agent.safetensors")
    save_file({"rewards": np.ones(5, np.float32)}, directory / "replay" / "000001.safetensors")
    save(checkpoint / "community.npz", {"rounds": 3, "population": {"words": np.arange(4, dtype=np.uint64)}})
    (checkpoint / "state.json").write_text(json.dumps(state))
    (directory / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return directory


@pytest.fixture
def facts(tmp_path):
    return of_run(write_run(tmp_path / "a"), INFO, replay=True)


def test_equal_runs_have_no_differences(tmp_path, facts):
    assert differences(of_run(write_run(tmp_path / "b"), INFO, replay=True), facts) == []


def test_a_flipped_bit_of_a_weight_is_told_by_its_name(tmp_path, facts):
    flipped = WEIGHTS["actor/pool.0"].copy()
    flipped.view(np.uint32)[2, 1] ^= 1
    other = of_run(write_run(tmp_path / "b", weights={**WEIGHTS, "actor/pool.0": flipped}), INFO, replay=True)
    assert [line.partition(":")[0] for line in differences(other, facts)] == ["agent/actor/pool.0"]


def test_a_negative_zero_is_not_a_zero(tmp_path):
    for name, value in (("a", 0.0), ("b", -0.0)):
        save_file({"x": np.array([value])}, tmp_path / name)
    assert differences(of_tensors("t", tmp_path / "a"), of_tensors("t", tmp_path / "b")) != []


def test_another_shape_or_type_of_the_same_bytes_is_told():
    array = np.zeros(4, np.float32)
    for other in (array.reshape(2, 2), array.view(np.int32)):
        assert differences(flat("x", {"a": other}), flat("x", {"a": array})) != []


def test_a_missing_and_an_additional_tensor_are_told(tmp_path, facts):
    other = of_run(
        write_run(tmp_path / "b", weights={"actor/pool.0": WEIGHTS["actor/pool.0"], "new": np.zeros(1)}),
        INFO,
        replay=True,
    )
    assert differences(other, facts) == ["agent/adam/step: missing here", "agent/new: only here"]


def test_what_is_declared_as_added_may_be_only_here_but_must_agree_if_both_have_it():
    here, there = {"a/1/new/x": "1", "a/1/old": "2"}, {"a/1/old": "2"}
    assert differences(here, there, added=["a/*/new"]) == []
    assert differences(here, {**there, "a/1/new/x": "3"}, added=["a/*/new"]) == ["a/1/new/x: 1, was 3"]
    assert differences(there, here, added=["a/*/new"]) == ["a/1/new/x: missing here"]


def test_a_missing_line_of_metrics_is_told(tmp_path, facts):
    other = of_run(write_run(tmp_path / "b", lines=LINES[:1]), INFO, replay=True)
    assert "metrics/lines: 1, was 2" in differences(other, facts)


def test_a_loss_that_differs_in_its_last_digit_is_told(tmp_path, facts):
    lines = [{**LINES[0], "losses": {"critic": float(np.nextafter(0.25, 1))}}, LINES[1]]
    other = of_run(write_run(tmp_path / "b", lines=lines), INFO, replay=True)
    assert differences(other, facts) == ["metrics/1/losses/critic: 0.25000000000000006, was 0.25"]


def test_measured_times_are_left_out(tmp_path, facts):
    state = {**STATE, "version": 4, "time": {"learning": 9.9}, "work": {"operations": 9.0, "matrix_rate": 7.0}}
    other = of_run(write_run(tmp_path / "b", state=state), {**INFO, "time": {"learning": 8.8}}, replay=True)
    assert differences(other, facts) == []
    assert "state/work/operations" in facts


def test_a_state_is_read_as_it_was_saved_to_the_last_bit(tmp_path):
    state = {"rng": {"state": 2**100}, "log": [{"best": 1.0}, {"best": 2.0}], "bits": np.array([1, 2], np.uint64)}
    save(tmp_path / "s.npz", state)
    assert of_state("s", tmp_path / "s.npz") == flat("s", state)
    assert of_state("s", tmp_path / "s.npz")["s/rng/state"] == str(2**100)
    other = {**state, "bits": np.array([1, 3], np.uint64), "log": state["log"][:1]}
    told = {line.partition(":")[0] for line in differences(flat("s", other), flat("s", state))}
    assert told == {"s/bits", "s/log/count", "s/log/1/best"}


def test_long_lists_are_compared_to_their_end():
    long = list(range(1000))
    assert differences(flat("x", {"a": [*long[:-1], 0]}), flat("x", {"a": long})) != []


def test_parts_are_left_out_by_whole_names():
    assert without({"info/time/a": "1", "info/times": "2"}, "info", ["time"]) == {"info/times": "2"}


def test_renamed_names_are_compared_under_the_new_ones():
    here, there = {"agent/ema/w": "1", "info/steps": "2"}, {"agent/averaged/w": "1", "info/steps": "2"}
    assert differences(here, there, {"agent/ema": "agent/averaged"}) == []
    assert differences({**here, "agent/ema/w": "9"}, there, {"agent/ema": "agent/averaged"}) == [
        "agent/ema/w: 9, was 1"
    ]


def test_the_longest_earlier_name_counts():
    assert renamed({"a/b/c": "1", "a/d": "2"}, {"x": "a", "y": "a/b"}) == {"y/c": "1", "x/d": "2"}


def test_a_setting_is_dropped_only_with_the_value_that_is_what_was_done_before():
    assert translated({"compute.kernels": "torch", "steps": 5}, {"steps"}, {}) == {"steps": 5}
    with pytest.raises(ValueError, match=r"setting compute\.kernels is unknown there"):
        translated({"compute.kernels": "compiled"}, {"steps"}, {})


def test_a_renamed_setting_is_translated_and_one_that_was_renamed_twice_too():
    table = {"compute.workers": "hardware.workers", "hardware.workers": "machine.workers"}
    settings = {"compute.workers": 2, "steps": 5}
    assert translated(settings, {"machine.workers", "steps"}, table) == {"machine.workers": 2, "steps": 5}
    assert translated(settings, {"hardware.workers", "steps"}, table) == {"hardware.workers": 2, "steps": 5}
    assert translated(settings, {"compute.workers", "steps"}, table) == settings


def test_a_setting_that_a_revision_does_not_know_is_refused_and_not_dropped():
    with pytest.raises(ValueError, match=r"setting sac\.new is unknown"):
        translated({"sac.new": 1}, {"sac.tau"}, {"sac.other": "sac.tau"})


def test_settings_are_nested_by_their_groups():
    assert nested({"a.b.c": 1, "a.d": 2, "e": 3}) == {"a": {"b": {"c": 1}, "d": 2}, "e": 3}


def test_every_run_has_a_name_of_its_own_and_every_search_a_definition():
    names = [run.name for run in (*TRAININGS, *SEARCHES)]
    assert len(set(names)) == len(names)
    assert {run.name for run in SEARCHES} == {*EVOLUTIONS, *COMMUNITIES, "operators"}


@pytest.mark.parametrize("name", COMMUNITIES)
def test_communities_of_the_list_grow(name):
    lengths = run_half(name, run_half(name, None, ask=False), ask=False)["population"]["lengths"]
    assert len({*lengths.tolist(), STAGED.length(3)}) > 2


@pytest.mark.parametrize("name", ["variable", "variable-rejected", "islands-random", "asked"])
def test_searches_of_variable_length_change_lengths(name):
    assert len(set(run_half(name, None, ask=False)["population"]["lengths"].tolist())) > 2


def test_renaming_tables_name_no_name_twice():
    for table in (SETTINGS, NAMES):
        assert len(set(table.values())) == len(table)


def test_a_run_in_which_nothing_grew_proves_nothing():
    run = next(run for run in TRAININGS if run.name == "mega-growth")
    assert run.unproved({"info/updates": "500", "metrics/lines": "9", "info/pool_size": "2"}) == ["grew"]
    assert run.unproved({"info/updates": "500", "metrics/lines": "9", "info/pool_size": "5"}) == []


def test_a_run_by_record_in_which_no_genotype_was_replaced_or_settled_proves_nothing():
    run = next(run for run in TRAININGS if run.name == "mega-record")
    facts = {"info/updates": "500", "metrics/lines": "9", "info/pool_size": "5", "metrics/3/selection/kept": "3.0"}
    assert run.unproved(facts) == ["selected by record"]
    replaced = {**facts, "metrics/4/selection/kept": "2.5"}
    assert run.unproved(replaced) == ["selected by record"]
    assert run.unproved({**replaced, "metrics/4/selection/frontier/point/count": "1"}) == []


@pytest.mark.parametrize(("counts", "unproved"), [((0, 0), ["masked"]), ((500, 500), ["masked"]), ((3, 0), [])])
def test_a_run_in_which_nothing_or_everything_was_masked_proves_nothing(counts, unproved):
    run = next(run for run in TRAININGS if run.name == "mega-masked")
    masked = {f"info/tasks/{task}/masked": str(count) for task, count in enumerate(counts)}
    facts = {"info/updates": "500", "metrics/lines": "9", "info/pool_size": "5", **masked}
    assert run.unproved(facts) == unproved


@pytest.fixture
def comparison(tmp_path, monkeypatch):
    """Of this checkout with itself; what a search comes to stands in ``facts`` by side."""
    facts = {"here": {"whole/best": "1"}, "there": {"whole/best": "1"}}
    monkeypatch.setattr("tests.same_as.execute.search", lambda side, run, half: dict(facts[side.scratch.name]))
    here, there = (Side(tmp_path, tmp_path / name) for name in facts)
    (there.scratch / "plus").mkdir(parents=True)
    (there.scratch / "plus" / "half.npz").touch()
    made = Comparison(here, there, Memory(there.scratch, "0" * 40), [])
    made.facts = facts
    return made


def test_equal_searches_are_equal(comparison):
    assert comparison.compare(Search("plus")).problems == []


def test_a_search_that_differs_is_told_also_from_what_is_remembered(comparison):
    comparison.compare(Search("plus"))
    comparison.facts["there"] = None
    comparison.facts["here"] = {"whole/best": "2"}
    assert comparison.compare(Search("plus")).problems == ["whole/best: 2, was 1"]


def test_a_side_that_fails_is_no_equality(comparison, monkeypatch):
    def fail(side, run, half):
        raise FailedError("exit code 1")

    monkeypatch.setattr("tests.same_as.execute.search", fail)
    assert comparison.compare(Search("plus")).problems == ["fails: exit code 1"]


def test_a_process_that_fails_is_told_with_its_last_line(tmp_path):
    with pytest.raises(FailedError, match="exit code 1: ZeroDivisionError"):
        Side(tmp_path, tmp_path).python("-c", "1 / 0")


def test_an_unknown_revision_is_told_in_one_line():
    with pytest.raises(FailedError, match="REV = 'no-such-thing': this repository has no such commit"):
        commit_of("no-such-thing")
