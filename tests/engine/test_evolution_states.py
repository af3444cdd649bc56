import re
from dataclasses import asdict, dataclass
from operator import attrgetter
from unittest.mock import ANY

import numpy as np
import pytest
from deap.tools import MultiStatistics, Statistics

from genoevo import Evolution, FlatLayout, Islands, Population, Record, Selection, StagedLayout, Survival
from genoevo.evaluation import Vectorised
from genoevo.history import PopulationStatistics
from genoevo.operators import Reproduction
from genoevo.problems import OneMax
from genoevo.state import load, save
from tests.engine.evolutions import evolved, ones, ones_and_length

IN_A_NEW_PROCESS = """
import sys
from genoevo import Evolution
from genoevo.evaluation import Vectorised
from genoevo.problems import OneMax
from genoevo.state import load, save
evolution = Evolution.from_state(load(sys.argv[1]), Vectorised(OneMax(60)))
evolution.run(int(sys.argv[2]))
save(sys.argv[3], evolution.state_dict())
"""


STRAIGHT = [
    ("points", (0.9, 1.0), 1, ones),
    ("uniform", (0.5, 0.8), 0, ones),
    ("segments", (0.7, 0.7), 3, ones),
    ("points", (0.5, 0.9), 2, ones_and_length),
]


@pytest.mark.parametrize(("a", "b"), [(1, 1), (4, 6), (0, 5), (5, 0)])
@pytest.mark.parametrize(("kind", "thresholds", "elites", "evaluate"), STRAIGHT)
@pytest.mark.parametrize("through", ["object", "state", "file"])
def test_run_a_then_run_b_is_run_a_plus_b(mixed, frozen, tmp_path, kind, thresholds, elites, evaluate, a, b, through):
    layout = StagedLayout(2)
    weights = (1, -0.7) if evaluate is ones_and_length else (1,)
    evolution, straight = [
        Evolution(
            Vectorised(evaluate),
            Population(mixed.words, mixed.lengths, weights=weights),
            seed=5,
            layout=layout,
            reproduction=Reproduction(
                crossover=kind, crossover_threshold=thresholds[0], mutation_threshold=thresholds[1]
            ),
            survival=Survival(elites=elites),
        )
        for _ in range(2)
    ]
    straight.run(a + b)
    evolution.run(a)
    if through == "state":
        evolution = Evolution.from_state(evolution.state_dict(), Vectorised(evaluate), layout=layout)
    elif through == "file":
        save(tmp_path / "state", evolution.state_dict())
        evolution = Evolution.from_state(load(tmp_path / "state"), Vectorised(evaluate), layout=layout)
    evolution.run(b)
    assert frozen(evolution.state_dict()) == frozen(straight.state_dict())
    assert evolution.logbook == straight.logbook


def test_a_run_goes_on_in_a_new_process_bit_for_bit(onemax, frozen, tmp_path, run_python):
    evolution, straight = onemax(), onemax()
    evolution.run(6)
    save(tmp_path / "before", evolution.state_dict())
    run_python(IN_A_NEW_PROCESS, tmp_path / "before", 9, tmp_path / "after")
    straight.run(15)
    assert frozen(load(tmp_path / "after")) == frozen(straight.state_dict())


EVERYTHING = {
    "record": Record(hall_of_fame=5, pareto_front=True, lineage=True, cache=15),
    "islands": Islands(count=3, interval=2, topology="random", replace="random"),
    "selection": Selection(tournament_size=2),
    "reproduction": Reproduction(crossover_threshold=0.5, mutation_threshold=0.9),
}


def statistics():
    found = MultiStatistics(fitness=PopulationStatistics(attrgetter("fitness")), bits=Statistics(len))
    found.register("quartiles", np.quantile, q=[0.25, 0.75], axis=0)
    found.register("average", np.mean)
    return found


@pytest.mark.parametrize("through", ["state", "file"])
@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize(
    ("survival", "evaluate", "weights"),
    [
        (Survival(elites=2), ones, (1,)),
        (Survival(strategy="steady", offspring=2), ones, (-1,)),
        (Survival(strategy="plus", offspring=2), ones_and_length, (1, -1)),
        (Survival(strategy="comma", offspring=5), ones_and_length, (1, 1)),
        (Survival(strategy="plus", method="nsga2"), ones_and_length, (1, -1)),
    ],
)
def test_with_everything_on_a_resumed_run_goes_on_bit_for_bit(
    mixed, frozen, tmp_path, survival, evaluate, weights, waiting, through
):
    start = Population(mixed.words, mixed.lengths, weights=weights)
    evolution, straight = [
        Evolution(Vectorised(evaluate), start, seed=5, survival=survival, statistics=statistics(), **EVERYTHING)
        for _ in range(2)
    ]
    straight.run(9)
    evolution.run(4)
    if waiting:
        evolution.ask()
    state = evolution.state_dict()
    if through == "file":
        save(tmp_path / "state", state)
        state = load(tmp_path / "state")
    evolution = Evolution.from_state(state, Vectorised(evaluate), statistics=statistics())
    evolution.run(5)
    assert frozen(evolution.state_dict()) == frozen(straight.state_dict())
    assert str(evolution.logbook) == str(straight.logbook)


def test_with_everything_on_a_run_goes_on_in_a_new_process_bit_for_bit(start, frozen, tmp_path, run_python):
    evolution, straight = [Evolution(Vectorised(OneMax(60)), start, seed=5, **EVERYTHING) for _ in range(2)]
    evolution.run(6)
    save(tmp_path / "before", evolution.state_dict())
    run_python(IN_A_NEW_PROCESS, tmp_path / "before", 9, tmp_path / "after")
    straight.run(15)
    assert frozen(load(tmp_path / "after")) == frozen(straight.state_dict())


def parts(state, path=()):
    """The path of every key of a state and of the states inside it."""
    for key, value in state.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from parts(value, (*path, key))


def complete(start):
    evolution = Evolution(Vectorised(OneMax(60)), start, seed=5, **EVERYTHING)
    evolution.run(3)
    evolution.ask()
    return evolution.state_dict()


PARTS = list(parts(complete(Population.random(12, 60, np.random.default_rng(1)))))


@pytest.mark.parametrize("path", PARTS, ids=".".join)
def test_a_state_that_lacks_a_part_is_refused_by_name(start, path):
    state = complete(start)
    inner = state
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    message = "not of 'evolution'" if path == ("kind",) else path[-1]
    with pytest.raises(ValueError, match=message):
        Evolution.from_state(state)


@pytest.mark.parametrize("path", [path for path in PARTS if len(path) > 1], ids=".".join)
def test_a_state_with_a_number_in_place_of_a_part_is_refused(start, path):
    state = complete(start)
    state[path[0]] = 7
    with pytest.raises(ValueError, match="must be a dict, got int"):
        Evolution.from_state(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generation": "three"}, "generation must be a whole number of at least 0, got 'three'"),
        ({"generation": -1}, "generation must be a whole number of at least 0, got -1"),
        ({"generation": True}, "generation must be a whole number of at least 0, got True"),
        ({"best": None}, "an evolution of 3 generations cannot have best None"),
        ({"numbers": np.arange(3)}, r"numbers must be of shape \(12\), got \(3,\)"),
        ({"numbers": [1, 2]}, "numbers must be an array of int64, got list"),
        ({"numbers": np.arange(12.0)}, "numbers must be an array of int64, got float64"),
        ({"log": {"records": [], "chapters": {}}}, "the log of 3 generations must have as many records, got 0"),
        (
            {"log": {"records": [{}] * 3, "chapters": {}}},
            "a record of the log must have a number 'generation', got None",
        ),
        ({"log": {"records": [1], "chapters": {}}}, "the records of a log must be a list of dicts"),
        ({"log": {"records": [], "chapters": []}}, "the chapters of a log must be a dict, got list"),
        ({"rng": {"bit_generator": "PCG64", "state": 1}}, "the state of a generator is corrupt"),
        (
            {"survival": {**asdict(Survival()), "elites": "two"}},
            "Survival.elites must be of type int | None, got 'two'",
        ),
        ({"survival": {**asdict(Survival()), "elites": 1.5}}, "Survival.elites must be of type int | None, got 1.5"),
        ({"lineage": None}, "the state of a lineage must be a dict, got NoneType"),
        ({"cache": None}, "the state of a cache must be a dict, got NoneType"),
    ],
)
def test_a_state_with_a_damaged_part_is_refused_by_name(start, change, message):
    with pytest.raises(ValueError, match=message):
        Evolution.from_state({**complete(start), **change})


@pytest.mark.parametrize("other", [None, StagedLayout(2), FlatLayout(4)])
def test_a_state_with_another_layout_is_refused(start, other):
    state = Evolution(None, start, seed=1, layout=FlatLayout(2)).state_dict()
    message = f"with layout FlatLayout(precision=2, genes=None), got {other}"
    with pytest.raises(ValueError, match=re.escape(message)):
        Evolution.from_state(state, layout=other)


def test_a_layout_without_a_repr_of_its_own_is_known_by_its_class(start):
    class Plain(FlatLayout):
        __repr__ = object.__repr__

    state = Evolution(None, start, seed=1, layout=Plain()).state_dict()
    assert Evolution.from_state(state, layout=Plain()).layout == Plain()


@pytest.mark.parametrize("generations", [0, 3])
def test_a_state_taken_between_ask_and_tell_goes_on_there(start, frozen, generations):
    evolution = evolved(Evolution(None, start, seed=1), generations)
    pending = evolution.ask()
    resumed = Evolution.from_state(evolution.state_dict())
    resumed.tell(ones(pending))
    evolution.tell(ones(pending))
    assert frozen(evolved(resumed, 3).state_dict()) == frozen(evolved(evolution, 3).state_dict())


def test_a_state_is_a_snapshot_that_later_generations_do_not_change(onemax, frozen):
    evolution = onemax()
    evolution.run(3)
    state = evolution.state_dict()
    before = frozen(state)
    evolution.run(3)
    assert frozen(state) == before


def test_a_resumed_run_shares_nothing_with_its_state(onemax, frozen):
    evolution = onemax()
    evolution.run(3)
    state = evolution.state_dict()
    before = frozen(state)
    Evolution.from_state(state, Vectorised(ones)).run(3)
    assert frozen(state) == before


@pytest.mark.parametrize("kind", ["community", None])
def test_the_state_of_something_else_is_refused(onemax, kind):
    with pytest.raises(ValueError, match=f"this is the state of {kind!r}, not of 'evolution'"):
        Evolution.from_state({**onemax().state_dict(), "kind": kind})


@pytest.mark.parametrize(
    ("entry", "settings"),
    [
        ("reproduction", "Reproduction"),
        ("selection", "Selection"),
        ("survival", "Survival"),
        ("islands", "Islands"),
        ("memory", "Record"),
    ],
)
def test_an_unknown_setting_in_a_state_is_refused(onemax, entry, settings):
    state = onemax().state_dict()
    state[entry] = {**state[entry], "speed": 9}
    with pytest.raises(ValueError, match=f"{settings} has no setting 'speed'"):
        Evolution.from_state(state)


def test_the_generator_of_a_state_must_be_pcg64(onemax):
    state = onemax().state_dict()
    state["rng"] = {**state["rng"], "bit_generator": "MT19937"}
    with pytest.raises(ValueError, match="the generator must be PCG64, got 'MT19937'"):
        Evolution.from_state(state)


def test_a_seed_of_a_generator_that_could_not_be_loaded_is_refused(onemax):
    with pytest.raises(ValueError, match="the generator must be PCG64, got 'Philox'"):
        onemax(seed=np.random.Philox(1))


@dataclass(frozen=True)
class Ruled(FlatLayout):
    """A layout with a function, whose repr has an address that is another one in each process."""

    rule: object = None


def test_a_layout_whose_repr_has_an_address_is_known_again(start):
    evolution = Evolution(None, start, seed=1, layout=Ruled(rule=lambda bit: bit))
    state = evolution.state_dict()
    assert Evolution.from_state(state, layout=Ruled(rule=lambda bit: bit)).layout == Ruled(rule=ANY)
    with pytest.raises(ValueError, match="this is the state of an evolution with layout"):
        Evolution.from_state(state, layout=Ruled(precision=2, rule=lambda bit: bit))


def test_a_state_with_the_address_in_its_layouts_name_is_read(start):
    layout = Ruled(rule=lambda bit: bit)
    state = {**Evolution(None, start, seed=1, layout=layout).state_dict(), "layout": repr(layout)}
    assert Evolution.from_state(state, layout=Ruled(rule=lambda bit: bit)).generation == 0


def test_a_log_of_tuples_is_the_same_before_and_after_a_restart(start, tmp_path):
    statistics = Statistics(lambda genotype: genotype.fitness.values[0])
    statistics.register("ends", lambda values: (min(values), np.float64(max(values))))
    evolution = Evolution(sum, start, seed=1, statistics=statistics)
    evolution.run(2)
    save(tmp_path / "state", evolution.state_dict())
    again = Evolution.from_state(load(tmp_path / "state"), sum)
    assert repr(again.logbook.select("ends")) == repr(evolution.logbook.select("ends"))
