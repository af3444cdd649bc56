"""Rules and a population that fit each other, at the start and when a rule is replaced."""

import numpy as np
import pytest

from genoevo import Evolution, FlatLayout, Islands, Population, Record, Selection, StagedLayout, Survival
from genoevo.operators import LengthPolicy, Reproduction
from genoevo.state import load, save

SHORT = Reproduction(crossover="cut_and_splice", lengths=LengthPolicy(minimum=8, maximum=16))


@pytest.fixture
def evolution(rng):
    evolution = Evolution(sum, Population.random(12, 20, rng), seed=1)
    evolution.run(3)
    return evolution


def evaluated(evolution):
    """The evaluations of the next generation."""
    before = evolution.evaluations
    evolution.step()
    return evolution.evaluations - before


@pytest.mark.parametrize(
    ("survival", "children"), [(Survival(strategy="plus", offspring=30), 30), (Survival(elites=5), 7)]
)
def test_another_survival_takes_effect_as_a_whole(evolution, survival, children):
    evolution.survival = survival
    assert evaluated(evolution) == children
    assert len(evolution.population) == 12


def test_other_islands_take_effect_as_a_whole(evolution):
    evolution.islands = Islands(count=3)
    evolution.run(10)
    assert len(evolution.population) == 12
    assert evaluated(evolution) == 9


def test_a_callback_may_replace_a_rule(rng):
    def cool(evolution):
        evolution.reproduction = Reproduction(mutation_rate=0.5 / evolution.generation)

    evolution = Evolution(sum, Population.random(6, 20, rng), seed=1, callbacks=[cool])
    evolution.run(5)
    assert evolution.reproduction == Reproduction(mutation_rate=0.1)


def test_a_replaced_rule_is_saved_and_goes_on_exactly(evolution, tmp_path, frozen):
    evolution.survival = Survival(elites=5)
    save(tmp_path / "state", evolution.state_dict())
    again = Evolution.from_state(load(tmp_path / "state"), sum)
    for one in (evolution, again):
        one.run(3)
    assert frozen(again.state_dict()) == frozen(evolution.state_dict())


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("survival", Survival(elites=12), ValueError, "elites must be below the population's 12, got 12"),
        ("islands", Islands(count=5), ValueError, "12 genotypes cannot be divided equally among 5 islands"),
        ("survival", Islands(), TypeError, "survival must be of type Survival, got Islands"),
        ("selection", "roulette", TypeError, "selection must be of type Selection, got 'roulette'"),
        ("reproduction", SHORT, ValueError, "must have at least 8 and at most 16 bits, got 20"),
        ("reproduction", Reproduction(mutation="creep"), ValueError, "mutation by creep needs a layout"),
        ("population", [1], TypeError, r"population must be of type Population, got \[1\]"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused_and_the_old_one_stays(evolution, name, value, error, message):
    before = getattr(evolution, name)
    with pytest.raises(error, match=message):
        setattr(evolution, name, value)
    assert getattr(evolution, name) is before


@pytest.mark.parametrize(
    ("name", "value"), [("survival", Survival(elites=5)), ("islands", Islands(count=3)), ("population", None)]
)
def test_what_children_were_made_for_is_not_replaced_under_them(evolution, name, value):
    evolution.ask()
    with pytest.raises(RuntimeError, match=f"{name} cannot be replaced while children wait for their fitness"):
        setattr(evolution, name, evolution.population if value is None else value)


@pytest.mark.parametrize(("name", "value"), [("record", Record(cache=9)), ("layout", FlatLayout())])
def test_what_cannot_take_effect_cannot_be_assigned(evolution, name, value):
    with pytest.raises(AttributeError):
        setattr(evolution, name, value)


def test_another_population_is_the_next_parents_without_known_parents(evolution, rng):
    others = Population.random(8, 20, rng)
    others.fitness = np.arange(8)
    evolution.population = others
    assert evaluated(evolution) == 7
    assert len(evolution.population) == 8
    assert evolution.numbers.tolist() == [-1, *range(evolution.evaluations - 7, evolution.evaluations)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.unevaluated(), "12 of 12 genotypes have no fitness yet"),
        (lambda p: Population(p.words, p.lengths, p.fitness, (-1,)), "weights must be the population's"),
        (lambda p: p[[0]], "elites must be below the population's 1, got 1"),
    ],
)
def test_another_population_that_does_not_fit_is_refused(evolution, change, message):
    with pytest.raises(ValueError, match=message):
        evolution.population = change(evolution.population)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reproduction": SHORT}, "genotypes must have at least 8 and at most 16 bits, got 40"),
        (
            {"reproduction": Reproduction(resize_rate=0.1, lengths=LengthPolicy(minimum=50))},
            "genotypes must have at least 50 bits, got 40",
        ),
        ({"selection": Selection(method="roulette"), "weights": (-1,)}, "needs one maximised objective"),
        ({"selection": Selection(method="sus"), "weights": (1, 1)}, "needs one maximised objective"),
        ({"layout": StagedLayout(3), "reproduction": Reproduction(granularity="gene")}, "no stage has 40 bits"),
        ({"layout": FlatLayout(precision=3)}, "length 40 is not a multiple of the 3 bits of a gene"),
    ],
)
def test_settings_that_contradict_the_population_are_refused_before_it_is_evaluated(rng, settings, message):
    weights = settings.pop("weights", (1,))
    with pytest.raises(ValueError, match=message):
        Evolution(sum, Population.random(10, 40, rng, weights), seed=1, **settings)


def test_a_state_of_an_earlier_version_with_longer_genotypes_is_resumed(rng, frozen):
    evolution = Evolution(sum, Population.random(6, 12, rng), seed=1, reproduction=SHORT)
    evolution.run(2)
    state = evolution.state_dict()
    state["reproduction"]["lengths"]["maximum"] = 10
    resumed = Evolution.from_state(state, sum)
    assert frozen(resumed.state_dict()) == frozen(state)
    resumed.run(2)
