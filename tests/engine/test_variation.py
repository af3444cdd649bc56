"""Frozen bits, rates by bit, settings of operators, and children without duplicates."""

import numpy as np
import pytest

from genoevo import Evolution, FlatLayout, Islands, Population, Selection, Survival
from genoevo.evaluation import Vectorised
from genoevo.evolution import Resampling
from genoevo.operators import LengthPolicy, Operators, Reproduction, Variation, mutation
from genoevo.state import load, save
from tests.engine.evolutions import ones

PLACES = (0, 5, 59)
BOLD = Reproduction(crossover="uniform", mutation_rate=0.3, mutation_threshold=0.9, crossover_threshold=0.6)


@pytest.mark.parametrize("reproduction", [BOLD, Reproduction(), Reproduction(resize_rate=0.5)])
def test_a_frozen_bit_of_a_child_is_its_first_parents(rng, reproduction):
    first, second = Population.random(200, 60, rng), Population.random(200, 60, rng)
    brood = reproduction.children(first, second, rng, variation=Variation(frozen=PLACES))
    for child, parent in zip(brood.population, first, strict=True):
        assert all(child[place] == parent[place] for place in PLACES if place < len(child))


def test_other_bits_than_the_frozen_change(rng):
    first = Population.random(500, 60, rng)
    children = BOLD.children(first, first, rng, variation=Variation(frozen=PLACES)).population
    changed = (children.bits() != first.bits()).any(axis=0)
    assert np.flatnonzero(~changed).tolist() == list(PLACES)


def test_frozen_bits_of_genotypes_in_more_than_one_word(rng):
    first, second = Population.random(60, 200, rng), Population.random(60, 70, rng)
    frozen = Variation(frozen=[1, 66, 150])
    children = Reproduction(crossover="cut_and_splice").children(first, second, rng, variation=frozen).population
    for child, parent in zip(children, first, strict=True):
        assert all(child[place] == parent[place] for place in (1, 66, 150) if place < len(child))


def test_frozen_bits_stay_in_a_whole_run_with_own_operators(rng):
    bits = rng.integers(0, 2, (20, 30))
    bits[:, [3, 4]] = [1, 0]
    own = Operators(mutation=lambda population, rng: mutation.flip(population, rng, rate=0.5))
    evolution = Evolution(
        Vectorised(ones), Population.from_bits(bits), seed=1, variation=Variation(frozen=[3, 4]), operators=own
    )
    evolution.run(10)
    assert (evolution.population.bits()[:, [3, 4]] == [1, 0]).all()


def test_a_repair_that_changes_a_frozen_bit_is_refused(start):
    def clear(population):
        return Population.from_bits(0 * population.bits())

    evolution = Evolution(
        Vectorised(ones), start, seed=1, variation=Variation(frozen=[2]), operators=Operators(repair=clear)
    )
    with pytest.raises(ValueError, match="repair must leave frozen bits as they are"):
        evolution.step()


@pytest.mark.parametrize("rates", [[0.0, 0.05, 0.2], [0.0, 0.1, 0.9]])
def test_each_bit_flips_at_its_own_rate(rng, rates, check_mean):
    per_bit = np.resize(rates, 90)
    before = Population.random(20_000, 90, rng)
    flipped = mutation.flip_by_place(before, rng, rates=per_bit).bits() ^ before.bits()
    assert not flipped[:, ::3].any()
    for place in (1, 2, 62, 64, 65, 89):
        check_mean(flipped[:, place].astype(float), per_bit[place])


def test_flips_by_place_are_independent_and_leave_the_parents(rng):
    before = Population.random(20_000, 12, rng)
    words = before.words.copy()
    flipped = mutation.flip_by_place(before, rng, rates=np.full(12, 0.2)).bits() ^ before.bits()
    assert abs(np.corrcoef(flipped.T)[np.triu_indices(12, 1)]).max() < 0.04
    assert (before.words == words).all()


def test_flips_by_place_reach_no_further_than_a_genotype(rng, check_well_formed):
    mixed = Population.random(50, rng.integers(1, 90, 50), rng)
    for rate in (0.2, 0.9):
        check_well_formed(mutation.flip_by_place(mixed, rng, rates=np.full(90, rate)))


def test_rates_of_a_variation_take_the_place_of_one_rate(rng):
    first = Population.random(100, 20, rng)
    variation = Variation(mutation_rates=[0.0] * 10 + [1.0] * 10)
    children = Reproduction(crossover_threshold=0).children(first, first, rng, variation=variation).population
    assert ((children.bits() ^ first.bits()) == [0] * 10 + [1] * 10).all()


def test_the_exchange_rate_reaches_uniform_crossover(rng):
    first, second = Population.from_bits(np.zeros((200, 64))), Population.from_bits(np.ones((200, 64)))
    uniform = Reproduction(crossover="uniform", crossover_threshold=1.0, mutation_rate=0)
    children = uniform.children(first, second, rng, variation=Variation(exchange_rate=0.1)).population
    assert 0.08 < children.bits().mean() < 0.12


def test_step_and_wrap_reach_creep(rng):
    layout = FlatLayout(precision=8)
    zeros = Population.from_bits(np.zeros((2000, 8)))
    creeping = Reproduction(mutation="creep", crossover_threshold=0, mutation_rate=1.0)
    children = creeping.children(zeros, zeros, rng, layout, variation=Variation(step=3, wrap=True)).population
    values = set((children.bits() @ (1 << np.arange(7, -1, -1))).tolist())
    assert values == {1, 2, 3, 253, 254, 255}


def rows(population):
    return [str(genotype) for genotype in population]


@pytest.mark.parametrize("islands", [1, 3])
def test_without_duplicates_no_child_equals_a_sister_or_its_island(rng, islands):
    start = Population.from_bits([[int(bit) for bit in f"{number:012b}"] for number in range(18)])
    settings = {"reproduction": Reproduction(mutation_rate=0.02), "islands": Islands(count=islands, migrants=0)}
    evolution = Evolution(
        Vectorised(ones),
        start,
        seed=1,
        survival=Survival(strategy="plus"),
        variation=Variation(duplicates=False),
        **settings,
    )
    plain = Evolution(Vectorised(ones), start, seed=1, survival=Survival(strategy="plus"), **settings)
    for run in (evolution, plain):
        run.run(4)
    sizes = [len(set(rows(part))) for part in np.array_split(rows(evolution.population), islands)]
    assert sizes == [18 // islands] * islands
    assert len(set(rows(plain.population))) < 18


def test_a_duplicate_that_cannot_be_avoided_stays(rng):
    start = Population.from_genotypes(["0", "1", "1", "0"])
    evolution = Evolution(Vectorised(ones), start, seed=1, variation=Variation(duplicates=False, tries=2))
    evolution.run(4)
    assert len(evolution.population) == 4


def test_what_is_bred_again_has_its_own_parents(rng):
    start = Population.random(30, 12, rng)
    settings = {"reproduction": Reproduction(mutation_rate=0.0, crossover_threshold=1.0)}
    variation = Variation(duplicates=False, tries=50)
    plain, evolution = [
        Evolution(Vectorised(ones), start, seed=2, variation=given, **settings) for given in (None, variation)
    ]
    for run in (plain, evolution):
        run.run(1)
        run.ask()
    assert (plain._pending.parents != evolution._pending.parents).any()  # some were bred again
    bits = start.bits()
    first, second = (bits[evolution._pending.parents[:, side]] for side in (0, 1))
    children = evolution._pending.population.bits()
    assert (((first & second) <= children) & (children <= (first | second))).all()


@pytest.mark.parametrize("waiting", [False, True])
def test_a_run_with_variation_resumes_bit_for_bit(start, frozen, tmp_path, waiting):
    variation = Variation(frozen=[7, 1], mutation_rates=np.linspace(0, 0.1, 60), duplicates=False)
    evolution, straight = [Evolution(Vectorised(ones), start, seed=5, variation=variation) for _ in range(2)]
    straight.run(7)
    evolution.run(3)
    if waiting:
        evolution.ask()
    save(tmp_path / "state", evolution.state_dict())
    resumed = Evolution.from_state(load(tmp_path / "state"), Vectorised(ones))
    assert resumed.variation == variation
    resumed.run(4)
    assert frozen(resumed.state_dict()) == frozen(straight.state_dict())


def test_a_variation_may_be_replaced_between_generations(onemax):
    evolution = onemax()
    evolution.run(2)
    evolution.variation = Variation(frozen=[0])
    assert "variation" in evolution.state_dict()
    with pytest.raises(ValueError, match="frozen must be places below 60"):
        evolution.variation = Variation(frozen=[60])
    assert evolution.variation == Variation(frozen=[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Variation(frozen=[1, 1]), "frozen must be different places of bits"),
        (lambda: Variation(frozen=[-1]), "frozen must be a whole number of at least 0, got -1"),
        (lambda: Variation(frozen=[0.5]), "frozen must be whole numbers"),
        (lambda: Variation(mutation_rates=[0.5, 2]), "mutation_rates must be between 0 and 1"),
        (lambda: Variation(mutation_rates=0.5), "mutation_rates must be between 0 and 1, one per bit, got 0.5"),
        (lambda: Variation(exchange_rate=2), "exchange_rate must be between 0 and 1, got 2"),
        (lambda: Variation(step=0), "step must be at least 1, got 0"),
        (lambda: Variation(wrap=1), "wrap must be True or False, got 1"),
        (lambda: Variation(duplicates=None), "duplicates must be True or False, got None"),
        (lambda: Variation(tries=0), "tries must be at least 1, got 0"),
    ],
)
def test_a_variation_that_is_not_allowed_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("variation", "reproduction", "message"),
    [
        ({"frozen": [60]}, {}, "frozen must be places below 60, the most bits, got 60"),
        ({"exchange_rate": 0.2}, {}, "exchange_rate needs crossover uniform or segments, got 'points'"),
        ({"step": 2}, {}, "step and wrap need mutation creep, got 'flip'"),
        ({"mutation_rates": [0.1] * 59}, {}, "mutation_rates must be 60 for as many bits, got 59"),
        ({"mutation_rates": [0.1] * 60}, {"mutation_rate": 0.1}, "mutation_rates need mutation flip without"),
        ({"mutation_rates": [0.1] * 60}, {"resize_rate": 0.1}, "mutation_rates must be inf for as many bits, got 60"),
        (
            {"mutation_rates": [0.1] * 60},
            {"resize_rate": 0.1, "lengths": LengthPolicy(maximum=80)},
            "mutation_rates must be 80 for as many bits, got 60",
        ),
    ],
)
def test_a_variation_that_does_not_fit_is_refused(start, variation, reproduction, message):
    with pytest.raises(ValueError, match=message):
        Evolution(None, start, seed=1, variation=Variation(**variation), reproduction=Reproduction(**reproduction))


CREEP = Reproduction(mutation="creep")
BY_GENE = Reproduction(granularity="gene")


@pytest.mark.parametrize(
    ("slot", "rules", "message"),
    [
        ("mutation", {"variation": Variation(mutation_rates=[0.1] * 60)}, "mutation_rates of variation"),
        ("mutation", {"reproduction": Reproduction(mutation_rate=0.9)}, "mutation_rate of reproduction"),
        ("mutation", {"reproduction": CREEP, "layout": FlatLayout()}, "mutation of reproduction"),
        ("crossover", {"reproduction": Reproduction(crossover="uniform")}, "crossover of reproduction"),
        ("crossover", {"reproduction": Reproduction(points=3)}, "points of reproduction"),
        ("crossover", {"reproduction": BY_GENE, "layout": FlatLayout()}, "granularity of reproduction"),
        ("selection", {"selection": Selection(method="crowded")}, "method of selection"),
        ("selection", {"selection": Selection(tournament_size=5)}, "tournament_size of selection"),
        ("survival", {"survival": Survival(method="nsga2")}, "method of survival"),
    ],
)
def test_a_setting_that_an_own_operator_replaces_is_refused(start, slot, rules, message):
    operators = Operators(**{slot: max})
    with pytest.raises(ValueError, match=f"{message} has no effect on the own {slot} builtins:max, got "):
        Evolution(None, start, seed=1, operators=operators, **rules)


@pytest.mark.parametrize(
    ("slot", "rules"),
    [
        ("crossover", {"reproduction": Reproduction(crossover_threshold=0, mutation_rate=0.9)}),
        ("crossover", {"reproduction": Reproduction(granularity="gene", resize_rate=0.1), "layout": FlatLayout()}),
        ("survival", {"survival": Survival(method="nsga2"), "resampling": Resampling(evaluations=2)}),
    ],
)
def test_a_setting_that_has_another_effect_than_an_own_operators_is_taken(start, slot, rules):
    Evolution(None, start, seed=1, operators=Operators(**{slot: max}), **rules)
