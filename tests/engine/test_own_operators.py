"""Own operators inside an evolution, and what its state and its lineage know of them."""

import random
from functools import partial

import pytest
from deap import tools

from genoevo import Evolution, Islands, Population, Record, Survival
from genoevo.evaluation import Vectorised
from genoevo.operators import Operators, PerGenotype, Reproduction, crossover
from genoevo.state import load, save
from tests.engine.evolutions import complement, ones

RESUMED = """
import sys
from genoevo import Evolution
from genoevo.evaluation import Vectorised
from genoevo.state import load, save
from tests.engine.evolutions import ones
from tests.engine.test_own_operators import BATCH
evolution = Evolution.from_state(load(sys.argv[1]), Vectorised(ones), operators=BATCH)
evolution.run(4)
save(sys.argv[2], evolution.state_dict())
"""


def with_first_bit(population):
    bits = population.bits().copy()
    bits[:, 0] = 1
    return Population.from_bits(bits, population.lengths, population.weights)


def shuffled(population, rng):
    bits = rng.permuted(population.bits(), axis=1)
    return Population.from_bits(bits, population.lengths, population.weights)


def lottery(population, n, rng):
    return rng.integers(0, len(population), n)


BATCH = Operators(crossover=crossover.two_point, mutation=shuffled, selection=lottery, repair=with_first_bit)
DEAPS = Operators(
    crossover=PerGenotype(tools.cxTwoPoint),
    mutation=PerGenotype(partial(tools.mutFlipBit, indpb=0.1)),
    selection=PerGenotype(partial(tools.selTournament, tournsize=3)),
    survival=PerGenotype(tools.selBest),
)


def test_a_repair_is_kept_from_the_first_generation_on(start):
    evolution = Evolution(Vectorised(ones), start, seed=1, operators=Operators(repair=with_first_bit))
    for _ in range(3):
        assert evolution.ask().bits()[:, 0].all()
        evolution.step()
        assert evolution.population.bits()[:, 0].all()


def test_operators_of_deap_run_inside_an_evolution(rng):
    start = Population.random(30, 24, rng)
    evolution = Evolution(Vectorised(ones), start, seed=1, survival=Survival(strategy="plus"), operators=DEAPS)
    evolution.run(60)
    assert evolution.best.fitness.values == (24.0,)


@pytest.mark.parametrize("operators", [BATCH, DEAPS], ids=["batch", "deap"])
@pytest.mark.parametrize("waiting", [False, True])
def test_a_run_with_own_operators_resumes_bit_for_bit(start, frozen, tmp_path, operators, waiting):
    settings = {"operators": operators, "record": Record(lineage=True), "islands": Islands(count=2)}
    evolution, straight = [Evolution(Vectorised(ones), start, seed=5, **settings) for _ in range(2)]
    straight.run(7)
    evolution.run(3)
    if waiting:
        evolution.ask()
    save(tmp_path / "state", evolution.state_dict())
    random.seed(99)  # other code draws from the global generator, too
    resumed = Evolution.from_state(load(tmp_path / "state"), Vectorised(ones), operators=operators)
    resumed.run(4)
    assert frozen(resumed.state_dict()) == frozen(straight.state_dict())


def test_a_run_with_own_operators_resumes_in_a_new_process(start, frozen, tmp_path, run_python):
    evolution, straight = [Evolution(Vectorised(ones), start, seed=5, operators=BATCH) for _ in range(2)]
    evolution.run(3)
    save(tmp_path / "before", evolution.state_dict())
    run_python(RESUMED, tmp_path / "before", tmp_path / "after")
    straight.run(7)
    assert frozen(load(tmp_path / "after")) == frozen(straight.state_dict())


def test_the_global_generators_are_put_back(start):
    random.seed(4)
    expected = random.Random(4).random()
    Evolution(Vectorised(ones), start, seed=1, operators=DEAPS).run(3)
    assert random.random() == expected


def test_a_state_names_own_operators_and_holds_none(start):
    state = Evolution(None, start, seed=1, operators=DEAPS).state_dict()
    assert state["operators"]["crossover"] == "deap.tools.crossover:cxTwoPoint"
    assert state["operators"]["mutation"] == "deap.tools.mutation:mutFlipBit(indpb=0.1)"


def test_a_state_without_own_operators_is_as_before(onemax):
    assert not {"operators", "variation", "constraints", "resampling", "estimates"} & set(onemax().state_dict())


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        (None, "the own mutation .*test_own_operators:shuffled: give operators=Operators.mutation=.*, got None"),
        (Operators(mutation=complement), "the own mutation .*:shuffled: .*, got .*:complement"),
        (Operators(mutation=shuffled, repair=with_first_bit), "without an own repair, got .*:with_first_bit"),
    ],
)
def test_other_own_operators_than_the_states_are_refused_by_name(start, operators, message):
    state = Evolution(None, start, seed=1, operators=Operators(mutation=shuffled)).state_dict()
    with pytest.raises(ValueError, match=message):
        Evolution.from_state(state, operators=operators)


def test_a_function_of_a_program_is_the_same_when_it_is_imported(start):
    state = Evolution(None, start, seed=1, operators=Operators(mutation=shuffled)).state_dict()
    state["operators"] = {"mutation": "__main__:shuffled"}
    assert Evolution.from_state(state, operators=Operators(mutation=shuffled)).operators.mutation is shuffled


@pytest.mark.parametrize("operators", [[1], {"mutation": 5}])
def test_a_state_with_damaged_names_is_refused(start, operators):
    state = {**Evolution(None, start, seed=1).state_dict(), "operators": operators}
    with pytest.raises(ValueError, match=r"operators of a state must be a dict|the own mutation 5"):
        Evolution.from_state(state)


def test_the_lineage_names_own_operators(start):
    pytest.importorskip("networkx")
    settings = {
        "record": Record(lineage=True),
        "reproduction": Reproduction(crossover_threshold=0.5, mutation_threshold=0.9),
    }
    evolution = Evolution(Vectorised(ones), start, seed=5, operators=BATCH, **settings)
    evolution.run(6)
    lineage = Evolution.from_state(evolution.state_dict(), operators=BATCH).lineage
    shuffling, repairing = (
        "tests.engine.test_own_operators:shuffled",
        "tests.engine.test_own_operators:with_first_bit",
    )
    crossing = "genoevo.operators.crossover:two_point"
    made = {data["origin"]: data["operators"] for _, data in lineage.graph().nodes(data=True)}
    assert made == {
        "given": (repairing,),
        "crossover": (crossing, shuffling, repairing),
        "mutation": (shuffling, repairing),
        "fresh": (repairing,),
    }


def test_a_lineage_without_own_operators_is_as_before(start):
    evolution = Evolution(Vectorised(ones), start, seed=5, record=Record(lineage=True))
    evolution.run(2)
    assert "operators" not in evolution.state_dict()["lineage"]
