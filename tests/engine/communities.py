"""Small communities, and how they are played."""

import numpy as np

from genoevo import Community, Genotype, Population, StagedLayout
from genoevo.community import Growth
from genoevo.operators import Reproduction

LAYOUT = StagedLayout(2)
CLONING = Reproduction(crossover_threshold=0, mutation_rate=0)  # a child is its first parent
CROSSING = Reproduction(crossover_threshold=1, crossover="uniform", mutation_rate=0)
IMPATIENT = Growth(patience=3, warmup_rounds=0)

# Stage 2 at precision 2: two weights of module 2's inputs, then three of the output's; 3 feeds and 0 suppresses.
INPUT_ALONE = "0000" + "110000"
MODULE_1_ALONE = "0000" + "001100"
MODULE_2_ALONE = "1100" + "000011"
BOTH_MODULES = "0011" + "000011"


def community(tasks=1, **settings):
    return Community(LAYOUT, [f"task {i}" for i in range(tasks)], **{"seed": 1, **settings})


def with_population(community, texts):
    community.population = Population.from_genotypes([Genotype(text, weights=(1, 1)) for text in texts])
    return community


def play(community, performance, mean_return=()):
    """One round per element; each is anything that broadcasts to (tasks, size). The shorter is padded by its last."""
    rounds = max(len(performance), len(mean_return))
    shape = len(community.tasks), community.size
    done = []
    for i in range(rounds):
        p, r = (values[min(i, len(values) - 1)] if len(values) else 0.0 for values in (performance, mean_return))
        done.append(community.step(np.broadcast_to(p, shape), np.broadcast_to(r, shape)))
    return done


def growths(community, performance, mean_return=()):
    """The rounds, counted from 1, in which task 0 grew."""
    rounds = play(community, performance, mean_return)
    return [number for number, done in enumerate(rounds, 1) if 0 in done.grown]
