"""Whatever a state file, a Genotype's string or an operator's layout says: a documented error, and bounded memory."""

from pathlib import Path

import numpy as np
import pytest
from deap import base
from hypothesis import strategies as st

from genoevo import Community, Evolution, FlatLayout, Genotype, StagedLayout
from genoevo.community import Candidates, Frontier, Growth, RecordCommunity
from genoevo.interop.deap import register
from genoevo.problems import PROBLEMS
from genoevo.state import load, save
from tests.engine.records import community, play

pytestmark = pytest.mark.usefixtures("little_memory")

FIXTURES = Path(__file__).parent / "fixtures"
FILES = ["evolution-v2.npz", "evolution-v1-first.npz", "community-v2.npz"]
WILD = st.integers() | st.floats() | st.none() | st.text(max_size=5) | st.sampled_from([0, 1, 2**40, 10**12, True])


def counts(few, many):
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.slow)])


def check_short(error):
    assert 0 < len(str(error)) < 1000


@counts(100, 3000)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_state_file_is_refused_or_read(name, count, fuzz, damaged, tmp_path):
    path = tmp_path / "state.npz"
    kind, layout = (Community, {}) if "community" in name else (Evolution, {"layout": FlatLayout(precision=2)})

    def check(data):
        path.write_bytes(data)

        try:
            kind.from_state(load(path), **layout).state_dict()
        except ValueError as error:
            check_short(error)
        assert [entry.name for entry in tmp_path.iterdir()] == ["state.npz"]

    fuzz(check, count, damaged(FIXTURES / name))


@counts(100, 3000)
def test_a_damaged_state_of_a_community_with_records_is_refused_or_goes_on(count, fuzz, damaged, tmp_path):
    rules = {"growth": Growth(unused_patience=3), "frontier": Frontier(size=2, trial_rounds=1)}
    one = community(2, candidates=Candidates(children=2, first_generations=1), **rules)
    play(one, [0.5, 0.0, 1.0])
    path, whole = tmp_path / "state.npz", tmp_path / "whole.npz"
    save(whole, one.state_dict())

    def check(data):
        path.write_bytes(data)
        try:
            resumed = RecordCommunity.from_state(load(path))
        except ValueError as error:
            check_short(error)
        else:
            resumed.state_dict()
            if resumed.candidates.children * resumed.candidates.generations * len(resumed.population) < 10**4:
                resumed.step()
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["state.npz", "whole.npz"]

    fuzz(check, count, damaged(whole))


@counts(100, 2000)
def test_a_genotype_is_a_string_of_0_and_1_or_refused(count, fuzz):
    digits = st.text("01", max_size=200)
    others = st.text(max_size=20) | st.lists(WILD, max_size=5) | st.binary(max_size=5) | WILD

    def check(value):
        try:
            genotype = Genotype(value)
        except ValueError as error:
            assert not (isinstance(value, str) and value and set(value) <= {"0", "1"})
            check_short(error)
        else:
            assert str(genotype) == "".join(str(int(bit)) for bit in value)
            assert Genotype(str(genotype)) == genotype

    fuzz(check, count, digits | others)


@counts(60, 1000)
def test_a_problem_takes_settings_that_it_has_or_refuses_them(count, fuzz):
    small = st.integers(-1, 12)
    keys = st.sampled_from(["size", "k", "order", "instance", "neighbours", "infeasible"])
    texts = st.sampled_from(["adjacent", "random", "penalty", "repair"])
    inputs = st.tuples(st.sampled_from(sorted(PROBLEMS)), st.dictionaries(keys, small | texts | WILD, max_size=3))

    def check(value):
        name, given = value
        given = {key: item for key, item in given.items() if not (key == "size" and _is_large(item))}
        known = PROBLEMS[name].__init__.__annotations__
        given = {key: item for key, item in given.items() if key in known}
        try:
            problem = PROBLEMS[name](**given)
        except ValueError as error:
            check_short(error)
        else:
            assert np.isfinite(problem(problem.random(3, np.random.default_rng(1)))).all()

    fuzz(check, count, inputs)


@counts(60, 1000)
def test_registered_operators_take_sizes_that_the_layout_has_or_refuse_them(count, fuzz):
    layouts = st.sampled_from([FlatLayout(), FlatLayout(precision=3, genes=4), StagedLayout(2)])

    def check(value):
        layout, size, n = value
        toolbox = base.Toolbox()
        try:
            register(toolbox, layout, seed=1, size=size)
            first, second = toolbox.population(2)
            toolbox.mate(first, second)
            assert len(toolbox.population(n)) == n
        except ValueError as error:
            check_short(error)

    fuzz(check, count, st.tuples(layouts, st.integers(-2, 50) | st.none(), st.integers(-2, 5)))


def _is_large(size):
    return isinstance(size, int) and size > 10**5
