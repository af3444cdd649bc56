"""Compare searches of a network with a variable number of layers at the same number of model fits.

The networks classify scikit-learn's handwritten digits. Every method chooses one to six layers, their widths, the
weight decay and the learning rate, over the same splits of the training rows. The best is fitted to all training rows
and scored on the others. Optuna takes part if it is installed.

    pip install 'genoevo[sklearn,plot]' optuna
    python studies/sklearn_architecture.py
"""

from __future__ import annotations

import argparse
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import comparison
import numpy as np
from scipy.stats import loguniform
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import RandomizedSearchCV, StratifiedKFold, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from genoevo import Stop
from genoevo_sklearn import Float, GeneticSearchCV, Integer, ListOf

METHODS = ("genetic", "random", "Optuna TPE", "Optuna NSGA-II")
SPLITS, SIZE, LAYERS, WIDTHS = 3, 20, (1, 6), (4, 128)
DECAY, RATE = (1e-6, 1e-1), (1e-4, 1e-1)


class Counted(MLPClassifier):
    """A network that counts the fits of all its copies."""

    fits = 0

    def fit(self, X, y):  # noqa: N803
        """Count, and fit."""
        Counted.fits += 1
        return super().fit(X, y)


class Layers:
    """The distribution that the genetic algorithm starts from: the number of layers uniform, widths log-uniform."""

    def rvs(self, random_state: Any = None) -> tuple[int, ...]:
        """Draw the widths of all layers."""
        rng = check_random_state(random_state)
        low, high = np.log([WIDTHS[0] - 0.5, WIDTHS[1] + 0.5])
        return tuple(
            round(float(np.exp(rng.uniform(low, high)))) for _ in range(rng.randint(LAYERS[0], LAYERS[1] + 1))
        )


def best_of(method: str, x: Any, y: Any, seed: int, budget: int, epochs: int) -> dict[str, Any] | None:
    """Return the parameters that *method* finds with *budget* fits; None if it is not installed."""
    cv, network = (
        StratifiedKFold(SPLITS, shuffle=True, random_state=seed),
        Counted(max_iter=epochs, random_state=seed),
    )
    if method == "genetic":
        space = {
            "hidden_layer_sizes": ListOf(Integer(*WIDTHS, log=True), *LAYERS),
            "alpha": Float(*DECAY, log=True),
            "learning_rate_init": Float(*RATE, log=True),
        }
        # Equal networks are fitted once: fits are counted, not genotypes.
        stop = Stop(predicate=lambda _: Counted.fits + SPLITS * SIZE > budget)
        settings = {"population_size": SIZE, "generations": 100_000, "stop": stop, "random_state": seed}
        found: dict[str, Any] = GeneticSearchCV(network, space, cv=cv, refit=False, **settings).fit(x, y).best_params_
        return found
    if method == "random":
        space = {"hidden_layer_sizes": Layers(), "alpha": loguniform(*DECAY), "learning_rate_init": loguniform(*RATE)}
        search = RandomizedSearchCV(network, space, n_iter=budget // SPLITS, cv=cv, refit=False, random_state=seed)
        return dict(search.fit(x, y).best_params_)
    return by_optuna(method, network, x, y, cv, seed, budget // SPLITS)


def by_optuna(method: str, network: Any, x: Any, y: Any, cv: Any, seed: int, trials: int) -> dict[str, Any] | None:
    """Return the parameters that a sampler of Optuna finds, with its own defaults."""
    try:
        import optuna
    except ImportError:
        print(f"{method}: optuna is not installed")
        return None
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def parameters(trial: Any) -> dict[str, Any]:
        count = trial.suggest_int("layers", *LAYERS)
        widths = tuple(trial.suggest_int(f"width_{layer}", *WIDTHS, log=True) for layer in range(count))
        decay, rate = (
            trial.suggest_float(name, *bounds, log=True) for name, bounds in (("alpha", DECAY), ("rate", RATE))
        )
        return {"hidden_layer_sizes": widths, "alpha": decay, "learning_rate_init": rate}

    def objective(trial: Any) -> float:
        return float(cross_val_score(network.set_params(**parameters(trial)), x, y, cv=cv).mean())

    samplers = optuna.samplers
    sampler = samplers.TPESampler(seed=seed) if "TPE" in method else samplers.NSGAIISampler(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return parameters(optuna.trial.FixedTrial(study.best_params))


def size_of(network: MLPClassifier) -> int:
    """Return the number of weights and biases of a fitted network."""
    return sum(array.size for array in (*network.coefs_, *network.intercepts_))


def main() -> None:
    """Run what is not done, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=600, help="model fits of a method")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--out", type=Path, default=Path("studies/results/sklearn_architecture.jsonl"))
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    x, y = load_digits(return_X_y=True)

    def measure(data: str, method: str, seed: int) -> comparison.Record | None:
        parts = train_test_split(x / 16, y, test_size=0.3, stratify=y, random_state=seed)
        x_train, x_test, y_train, y_test = parts
        Counted.fits = 0
        found = best_of(method, x_train, y_train, seed, options.budget, options.epochs)
        if found is None:
            return None
        fits = Counted.fits
        network = Counted(max_iter=options.epochs, random_state=seed).set_params(**found).fit(x_train, y_train)
        layers = [int(width) for width in found["hidden_layer_sizes"]]
        accuracy = network.score(x_test, y_test)
        return {"accuracy": accuracy, "layers": layers, "parameters": size_of(network), "fits": fits}

    with threadpool_limits(1):  # the matrices are small: threads would only wait for each other
        cases = product(["digits"], options.methods, range(1, options.seeds + 1))
        found = comparison.run(options.out, cases, measure)
    columns = {"accuracy": ".4f", "parameters": ".0f", "fits": ".0f", "cpu_seconds": ".1f"}
    print(comparison.table(found, columns, "genetic"))
    comparison.picture(options.out.with_suffix(".png"), found, "parameters", "accuracy")


if __name__ == "__main__":
    main()
