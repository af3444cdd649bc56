"""Evolve depth and width of a classifier of handwritten digits; compare with random search at the same budget.

A genotype is genes of 7 bits: the learning rate, from 1e-4 to 1e-1 on a log scale, then the width of each hidden
layer, 1 to 6 of them, each from 1 to 128 units. Its fitness is the accuracy on a validation split less a price for
each parameter; a test split stays untouched until the end.

    pip install genoevo scikit-learn matplotlib
    python examples/architecture_search.py
"""

import argparse
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from genoevo import Evolution, FlatLayout, Genotype, Population
from genoevo.decode import gene_values
from genoevo.evolution import Survival
from genoevo.operators import Reproduction

LAYOUT = FlatLayout(precision=7)
MOST_LAYERS = 6
ELITES = 2
PRICE = 1e-5  # accuracy that a parameter must be worth
METHODS = ("evolution", "random search")


@cache
def digits():
    """Inputs and labels for training, validation (a quarter) and test (a quarter)."""
    x, y = load_digits(return_X_y=True)
    rest, x_test, labels, y_test = train_test_split(x / 16, y, test_size=0.25, random_state=0, stratify=y)
    x_train, x_valid, y_train, y_valid = train_test_split(
        rest, labels, test_size=1 / 3, random_state=0, stratify=labels
    )
    return (x_train, y_train), (x_valid, y_valid), (x_test, y_test)


def decoded(genotype):
    """Learning rate, and the width of each hidden layer."""
    rate, *widths = gene_values(Population.from_genotypes([genotype]), LAYOUT.precision)[0].tolist()
    return 10 ** (3 * rate / 127 - 4), [width + 1 for width in widths]


class Search:
    """The fitness function, and a record of all it was asked."""

    def __init__(self, epochs):
        self.epochs = epochs
        self.asked = []  # (parameters, accuracy on the validation split, fitness)
        self._known = {}

    def train(self, genotype):
        """A network of that architecture, always from the same first weights."""
        rate, widths = decoded(genotype)
        network = MLPClassifier(widths, learning_rate_init=rate, max_iter=self.epochs, batch_size=128, random_state=0)
        with warnings.catch_warnings(), threadpool_limits(1):  # small matrices: threads would wait for one another
            warnings.simplefilter("ignore", ConvergenceWarning)
            return network.fit(*digits()[0])

    def __call__(self, genotype):
        """Fitness; an architecture that is asked for again counts again, but is not trained again."""
        if genotype not in self._known:
            network = self.train(genotype)
            size = sum(weights.size for weights in network.coefs_ + network.intercepts_)
            accuracy = network.score(*digits()[1])
            self._known[genotype] = size, accuracy, accuracy - PRICE * size
        self.asked.append(self._known[genotype])
        return self.asked[-1][-1]


def start(n, rng):
    """Random architectures, all depths in equal shares."""
    return Population.random(n, np.array([LAYOUT.length(2 + i % MOST_LAYERS) for i in range(n)]), rng)


def search(job):
    """One run of one method: what it asked, and its best architecture with the accuracy on the test split."""
    method, seed, options = job
    fitness, rng = Search(options.epochs), np.random.default_rng(seed)
    if method == "evolution":
        evolution = Evolution(
            fitness,
            start(options.population, rng),
            seed=seed,
            reproduction=Reproduction(crossover_threshold=0.7),
            survival=Survival(elites=ELITES),
            layout=LAYOUT,
        )
        evolution.run(options.generations)
        best = evolution.best
    else:
        budget = options.population + (options.generations - 1) * (options.population - ELITES)
        best = max(start(budget, rng), key=fitness)
    return np.array(fitness.asked), best, fitness.train(Genotype(str(best))).score(*digits()[2])


def plot(path, runs):
    """Accuracy against size of all architectures tried; the best fitness so far, mean and range over seeds."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for method, color in zip(METHODS, ("#d1495b", "#00798c"), strict=True):
        asked = [run[0] for run in runs[method]]
        tried = np.concatenate(asked)
        left.scatter(tried[:, 0], tried[:, 1], s=9, alpha=0.35, color=color, linewidth=0)
        chosen = np.array([history[history[:, 2].argmax()] for history in asked])
        left.scatter(chosen[:, 0], chosen[:, 1], s=130, marker="*", color=color, edgecolor="black", label=method)
        best = np.maximum.accumulate([history[:, 2] for history in asked], axis=1)
        steps = np.arange(1, best.shape[1] + 1)
        right.plot(steps, best.mean(axis=0), color=color, label=method)
        right.fill_between(steps, best.min(axis=0), best.max(axis=0), color=color, alpha=0.2, linewidth=0)
    left.set(xscale="log", xlabel="parameters", ylabel="validation accuracy", ylim=(0.5, 1))
    left.set_title("architectures tried, and each run's best (stars)")
    right.set(xlabel="architectures tried", ylabel="best fitness so far", ylim=(0.75, None))
    right.set_title(f"mean and range of {len(asked)} seeds")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=150)


def main(arguments=None):
    """Run both methods with every seed, print a table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--population", type=int, default=20)
    parser.add_argument("--generations", type=int, default=11)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plot", default="architecture_search.png")
    options = parser.parse_args(arguments)
    jobs = [(method, seed, options) for method, seed in product(METHODS, range(1, options.seeds + 1))]
    with ProcessPoolExecutor(options.workers) as pool:
        results = list(pool.map(search, jobs))
    runs = {m: [r for job, r in zip(jobs, results, strict=True) if job[0] == m] for m in METHODS}
    print(f"{'method':<14} {'seed':>4} {'fitness':>8} {'test':>6}  learning rate, hidden layers")
    for (method, seed, _), (asked, best, test) in zip(jobs, results, strict=True):
        rate, widths = decoded(best)
        print(f"{method:<14} {seed:>4} {asked[:, 2].max():8.4f} {test:6.3f}  {rate:.4f} {widths}")
    for method in METHODS:
        fitness, test = np.mean([(asked[:, 2].max(), test) for asked, _, test in runs[method]], axis=0)
        print(f"{method:<14} mean {fitness:8.4f} {test:6.3f}  {len(asked)} architectures a run")
    plot(options.plot, runs)


if __name__ == "__main__":
    main()
