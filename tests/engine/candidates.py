"""Communities that search for candidates, and what one search proposes."""

from genoevo.community import Candidates, RecordCommunity
from genoevo.operators import Reproduction
from tests.engine.communities import LAYOUT

WILD = Reproduction(crossover_threshold=0.5, mutation_threshold=0.8, mutation_rate=0.2)


def community(tasks=2, rules=None, **settings):
    rules = Candidates(**{"children": 6, "first_generations": 0, **(rules or {})})
    defaults = {"seed": 1, "size": 3, "stage": 3, "reproduction": WILD}
    return RecordCommunity(LAYOUT, [f"task {i}" for i in range(tasks)], candidates=rules, **{**defaults, **settings})


def searched(one, judge=None):
    """The members of a community, and what one round's search proposes, with its scores."""
    search, tasks = one._search(), len(one.tasks)
    members = search.members(one.population, tasks)
    return search, members, *search.propose(members, one.usage()[:, 0], judge)


def by_number(population, tasks):
    """A judge that finds every candidate as good as the number of its ones."""
    return population.bits().sum(axis=1).astype(float)
