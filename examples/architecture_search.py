"""Evolve depth and widths of a classifier of handwritten digits; compare with random search at the same budget.

A genotype is one gene of 7 bits for each hidden layer, 1 to 6 of them: its width, 1 to 128 units. Fitness is the
accuracy on a validation split, minus a price for each parameter. A test split stays unused until the end.

    pip install genoevo scikit-learn matplotlib
    python examples/architecture_search.py
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import pairwise, product

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from genoevo import Evolution, FlatLayout, Population, Survival
from genoevo.decode import gene_values
from genoevo.operators import LengthPolicy, Reproduction

LAYOUT = FlatLayout(precision=7)
MOST_LAYERS, ELITES = 6, 2
# Crossover moves whole layers. One child in five gains or loses a layer, within the bounds.
RULES = Reproduction(granularity="gene", resize_rate=0.2, lengths=LengthPolicy(minimum=7, maximum=7 * MOST_LAYERS))
PRICE = 3e-5  # accuracy that a parameter must be worth
COPIES = 4  # networks of each architecture, from different first weights; accuracies are their mean
METHODS = ("evolution", "random search")


@cache
def digits():
    """Return inputs and labels for training (a half), validation and test (a quarter each)."""
    x, y = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(x))
    return [((x[part] / 16).astype(np.float32), y[part]) for part in np.split(rows, [899, 1348])]


def forward(weights, x):
    """Return the activations of the input, (n, units), and of every layer, (COPIES, n, units) each."""
    activations = [x]
    for i, (matrix, bias) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
        h = activations[-1] @ matrix + bias
        activations.append(h if 2 * i + 2 == len(weights) else np.maximum(h, 0))
    return activations


def train(widths, epochs, batch=64, rate=0.05, momentum=0.9):
    """Train COPIES networks side by side, by gradient descent with momentum; return matrices and biases in turn."""
    (x, y), rng = digits()[0], np.random.default_rng(0)
    weights = []
    for a, b in pairwise([x.shape[1], *widths, 10]):
        weights += [rng.normal(0, (2 / a) ** 0.5, (COPIES, a, b)).astype("f4"), np.zeros((COPIES, 1, b), "f4")]
    moves = [np.zeros_like(w) for w in weights]
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(x)), len(x) // batch):
            *hidden, output = forward(weights, x[rows])
            delta = np.exp(output - output.max(axis=2, keepdims=True))
            delta /= delta.sum(axis=2, keepdims=True)
            delta = (delta - np.eye(10, dtype="f4")[y[rows]]) / len(rows)
            for i in reversed(range(len(hidden))):
                gradients = np.swapaxes(hidden[i], -1, -2) @ delta, delta.sum(axis=1, keepdims=True)
                delta = (delta @ np.swapaxes(weights[2 * i], 1, 2)) * (hidden[i] > 0)
                for j, gradient in enumerate(gradients, 2 * i):
                    moves[j] = momentum * moves[j] - rate * gradient
                    weights[j] += moves[j]
    return weights


def accuracy(weights, split):
    """Return the accuracy on *split*, the mean over the copies."""
    x, y = split
    return float((forward(weights, x)[-1].argmax(axis=2) == y).mean())


def widths_of(genotype):
    """Return the number of units of each hidden layer."""
    return [1 + gene for gene in gene_values(Population.from_genotypes([genotype]), LAYOUT.precision)[0].tolist()]


class Fitness:
    """The fitness function, with a record of every evaluation: parameters, validation accuracy, fitness."""

    def __init__(self, epochs):
        self.epochs, self.asked, self._known = epochs, [], {}

    def __call__(self, genotype):
        """Evaluate a genotype; a repeated architecture counts again, but is not trained again."""
        if genotype not in self._known:
            weights = train(widths_of(genotype), self.epochs)
            size, found = sum(w[0].size for w in weights), accuracy(weights, digits()[1])
            self._known[genotype] = size, found, found - PRICE * size
        self.asked.append(self._known[genotype])
        return self.asked[-1][-1]


def start(n, rng):
    """Return random architectures, with all depths in equal shares."""
    return Population.random(n, np.array([LAYOUT.length(1 + i % MOST_LAYERS) for i in range(n)]), rng)


def search(job):
    """Run one method once; return its evaluations, the best widths, and their accuracy on the test split."""
    method, seed, options = job
    fitness, rng = Fitness(options.epochs), np.random.default_rng(seed)
    with threadpool_limits(1):  # the matrices are small: threads would only wait for each other
        if method == "evolution":
            rules = {"reproduction": RULES, "survival": Survival(elites=ELITES), "layout": LAYOUT}
            evolution = Evolution(fitness, start(options.population, rng), seed=seed, **rules)
            evolution.run(options.generations)
            best = evolution.best
        else:
            budget = options.population + (options.generations - 1) * (options.population - ELITES)
            best = max(start(budget, rng), key=fitness)
        widths = widths_of(best)
        return np.array(fitness.asked), widths, accuracy(train(widths, options.epochs), digits()[2])


def plot(path, runs):
    """Plot accuracy over size of all architectures, and the best fitness so far, mean and range over seeds."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for method, color in zip(reversed(METHODS), ("#00798c", "#d1495b"), strict=True):
        asked = [run[0] for run in runs[method]]
        tried = np.unique(np.concatenate(asked), axis=0)
        left.scatter(tried[:, 0], tried[:, 1], s=10, alpha=0.4, color=color, linewidth=0)
        chosen = np.array([history[history[:, 2].argmax()] for history in asked])
        left.scatter(*chosen.T[:2], s=130, marker="*", color=color, edgecolor="black", label=method, zorder=3)
        best = np.maximum.accumulate([history[:, 2] for history in asked], axis=1)
        steps = np.arange(1, best.shape[1] + 1)
        right.plot(steps, best.mean(axis=0), color=color, label=method)
        right.fill_between(steps, best.min(axis=0), best.max(axis=0), color=color, alpha=0.2, linewidth=0)
    left.set(title="architectures tried; stars: the best of each run", xscale="log", xlim=(300, 1e5), ylim=(0.8, 1))
    left.set(xlabel="parameters", ylabel="validation accuracy")
    right.set(title=f"mean and range of {len(asked)} seeds", ylim=(best[:, len(steps) // 10].min(), None))
    right.set(xlabel="architectures tried", ylabel="best fitness")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=150)


def main():
    """Run both methods with every seed, print a table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"seeds": 5, "population": 20, "generations": 11, "epochs": 20, "workers": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--plot", default="architecture_search.png")
    options = parser.parse_args()
    jobs = [(method, seed, options) for method, seed in product(METHODS, range(1, options.seeds + 1))]
    with ProcessPoolExecutor(options.workers) as pool:
        results = list(pool.map(search, jobs))
    runs = {method: results[i * options.seeds :][: options.seeds] for i, method in enumerate(METHODS)}
    print(f"{'method':<14} {'seed':>4} {'fitness':>8} {'test':>6}  hidden layers")
    for method, found in runs.items():
        for seed, (asked, widths, test) in enumerate(found, 1):
            print(f"{method:<14} {seed:>4} {asked[:, 2].max():8.4f} {test:6.3f}  {widths}")
        fitness, test = np.mean([(asked[:, 2].max(), test) for asked, _, test in found], axis=0)
        print(f"{method:<14} mean {fitness:8.4f} {test:6.3f}  {len(asked)} architectures a run")
    plot(options.plot, runs)


if __name__ == "__main__":
    main()
