"""Compare feature selectors at the same number of model fits: held-out score, features kept, wall time.

Every method sees the training rows alone and may fit as many models as the budget says, over the same splits. Its
subset is then fitted to all training rows and scored on the others. What cannot do a step within the budget is left
out. sklearn-genetic and sklearn-genetic-opt take part if they are installed.

    pip install 'genoevo[sklearn,plot]' sklearn-genetic sklearn-genetic-opt
    python studies/sklearn_selection.py
"""

from __future__ import annotations

import argparse
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import comparison
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import RFECV, SequentialFeatureSelector
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from genoevo import Stop
from genoevo_sklearn import GeneticFeatureSelector

DATA = ("breast cancer", "digits", "wide")
METHODS = ("all features", "genetic", "genetic, Pareto", "genetic, small", "random subsets", "RFECV", "sequential")
OTHERS = ("sklearn-genetic", "sklearn-genetic-opt")
SPLITS, SIZE = 3, 30
PRICE = 0.0005  # the score that a feature must be worth


class Counted(LogisticRegression):
    """Logistic regression that counts the fits of all its copies."""

    fits = 0

    def fit(self, X, y, sample_weight=None):  # noqa: N803
        """Count, and fit."""
        Counted.fits += 1
        return super().fit(X, y, sample_weight)


def data_of(name: str, seed: int) -> list[Any]:
    """Return training rows, test rows, and the classes of both, standardised by the training rows."""
    if name == "wide":
        x, y = make_classification(600, 500, n_informative=20, n_redundant=0, random_state=seed)
    else:
        x, y = (load_breast_cancer if name == "breast cancer" else load_digits)(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
    scale = StandardScaler().fit(x_train)
    return [scale.transform(x_train), scale.transform(x_test), y_train, y_test]


def subset(method: str, x: Any, y: Any, seed: int, budget: int) -> Any:
    """Return the subset that *method* selects with *budget* fits, (features,) bool; None if it cannot."""
    features, cv = x.shape[1], StratifiedKFold(SPLITS, shuffle=True, random_state=seed)
    if method == "all features":
        return np.ones(features, dtype=bool)
    if method.startswith("genetic"):
        rule = {"pareto": True, "choice": "one_standard_error"} if "Pareto" in method else {"feature_cost": PRICE}
        # Equal subsets are fitted once: fits are counted, not genotypes.
        stop = Stop(predicate=lambda _: Counted.fits + SPLITS * SIZE > budget)
        settings = {"population_size": SIZE, "generations": 100_000, "stop": stop, "random_state": seed}
        if "small" in method:  # the first subsets have a tenth of the features at most
            rng = np.random.default_rng(seed)
            sizes = rng.integers(1, max(1, features // 10), size=SIZE, endpoint=True)
            settings["initial_subsets"] = [rng.permutation(features)[:size].tolist() for size in sizes]
        return GeneticFeatureSelector(Counted(), cv=cv, **rule, **settings).fit(x, y).support_
    if method == "random subsets":
        return random_subset(x, y, cv, seed, budget // SPLITS)
    if method == "RFECV":
        # Each split eliminates down to one feature, and so does the last elimination, with all rows.
        step = next(step for step in range(1, features) if (features // step + 2) * (SPLITS + 1) <= budget)
        return RFECV(Counted(), step=step, cv=cv).fit(x, y).support_
    if method == "sequential":
        costs = SPLITS * np.cumsum(np.arange(features, 0, -1))
        steps = min(int((costs <= budget).sum()), features - 1)
        if not steps:
            print(f"{method}: one step of {features} features takes {costs[0]} fits, the budget is {budget}")
            return None
        # A whole path within the budget ends where a feature no longer earns its price.
        rule = (
            {"n_features_to_select": "auto", "tol": PRICE}
            if steps == features - 1
            else {"n_features_to_select": steps}
        )
        return SequentialFeatureSelector(Counted(), cv=cv, **rule).fit(x, y).support_
    return by_others(method, x, y, cv, budget)


def random_subset(x: Any, y: Any, cv: Any, seed: int, count: int) -> Any:
    """Return the best of *count* random subsets of uniform size, by the same measure as the genetic algorithm's."""
    rng, best, highest = np.random.default_rng(seed), None, -np.inf
    for _ in range(count):
        mask = np.zeros(x.shape[1], dtype=bool)
        mask[rng.permutation(x.shape[1])[: rng.integers(1, x.shape[1], endpoint=True)]] = True
        worth = cross_val_score(Counted(), x[:, mask], y, cv=cv).mean() - PRICE * mask.sum()
        if worth > highest:
            best, highest = mask, worth
    return best


def by_others(method: str, x: Any, y: Any, cv: Any, budget: int) -> Any:
    """Return the subset of another package, with its own defaults but for the budget; None if it does not run."""
    generations = max(1, budget // (SPLITS * SIZE) - 1)
    try:
        if method == "sklearn-genetic":
            from genetic_selection import GeneticSelectionCV

            found = GeneticSelectionCV(Counted(), cv=cv, n_population=SIZE, n_generations=generations)
            return np.asarray(found.fit(x, y).support_, dtype=bool)
        from sklearn_genetic import GAFeatureSelectionCV

        # It evaluates as many children as parents, twice the population, in each generation.
        found = GAFeatureSelectionCV(
            Counted(), cv=cv, population_size=SIZE, generations=max(1, generations // 2), verbose=False
        )
        return np.asarray(found.fit(x, y).support_, dtype=bool)
    except Exception as error:  # whatever a package says that does not fit this scikit-learn
        print(f"{method}: {type(error).__name__}: {error}")
        return None


def main() -> None:
    """Run what is not done, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=1800, help="model fits of a method")
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--methods", nargs="+", choices=(*METHODS, *OTHERS), default=(*METHODS, *OTHERS))
    parser.add_argument("--out", type=Path, default=Path("studies/results/sklearn_selection.jsonl"))
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", FutureWarning)  # of the other packages

    def measure(data: str, method: str, seed: int) -> comparison.Record | None:
        x, x_test, y, y_test = data_of(data, seed)
        Counted.fits = 0
        mask = subset(method, x, y, seed, options.budget)
        if mask is None or not mask.any():
            return None
        fits, model = Counted.fits, Counted().fit(x[:, mask], y)
        return {"accuracy": model.score(x_test[:, mask], y_test), "features": int(mask.sum()), "fits": fits}

    with threadpool_limits(1):  # the matrices are small: threads would only wait for each other
        cases = product(options.data, options.methods, range(1, options.seeds + 1))
        found = comparison.run(options.out, cases, measure)
    columns = {"accuracy": ".4f", "features": ".1f", "fits": ".0f", "cpu_seconds": ".1f"}
    print(comparison.table(found, columns, "genetic"))
    comparison.picture(options.out.with_suffix(".png"), found, "features", "accuracy")


if __name__ == "__main__":
    main()
