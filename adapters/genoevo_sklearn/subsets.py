"""Subsets of the features as genotypes of one bit per feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from genoevo import Evolution, FlatLayout, Genotype, Population
from genoevo._check import check_whole, shown
from genoevo_sklearn._private import safe_indexing
from genoevo_sklearn.fits import Doubles

Mask = npt.NDArray[np.bool_]


class Subsets:
    """The subsets of *features* features with *minimum* to *maximum* of them, one bit each.

    A genotype with too many ones or too few means the subset without some of its features, or with some more. Which
    ones is random, but always the same for the same genotype, so no feature is preferred [O].

    Parameters
    ----------
    features
        Number of features.
    minimum
        Fewest features of a subset, at least 1.
    maximum
        Most features; None for all.
    prices
        (features,) float64: the price of each.

    """

    def __init__(self, features: int, minimum: int, maximum: int | None, prices: Doubles) -> None:
        most = features if maximum is None else maximum
        check_whole("max_features", most, 1, features)
        check_whole("min_features", minimum, 1, most)
        self.features, self.minimum, self.maximum, self.prices = features, minimum, most, prices
        self.layout = FlatLayout(genes=features)

    def mask(self, genotype: Genotype) -> Mask:
        """Return the subset that *genotype* means, (features,) bool."""
        return repaired(genotype.bits.astype(bool), genotype, self.minimum, self.maximum)

    def key(self, genotype: Genotype) -> bytes:
        """Return the subset as bytes."""
        return np.packbits(self.mask(genotype)).tobytes()

    def applied(self, genotype: Genotype, X: Any) -> tuple[Any, None]:  # noqa: N803
        """Return the columns of *X* in the subset, and None: the estimator keeps its parameters."""
        return safe_indexing(X, self.mask(genotype), axis=1), None

    def price(self, genotype: Genotype) -> float:
        """Return the sum of the prices of the features in the subset."""
        return float(self.prices[self.mask(genotype)].sum())

    def start(self, n: int, rng: np.random.Generator, given: Sequence[Mask], weights: Sequence[float]) -> Population:
        """Return the *given* subsets and random ones, *n* in all.

        A random subset has a size that is uniform in the bounds, so small and large ones are equally likely [O].
        """
        bits = np.zeros((n, self.features), dtype=np.uint8)
        for row, mask in zip(bits, given, strict=False):
            row[:] = mask
        for row in bits[len(given) :]:
            size = rng.integers(self.minimum, self.maximum, endpoint=True)
            row[rng.permutation(self.features)[:size]] = 1
        return Population.from_bits(bits, weights=weights)

    def check(self, given: Sequence[Mask]) -> None:
        """Raise ValueError, which names it, if a subset that the user gives has too few features or too many."""
        for number, mask in enumerate(given):
            if not self.minimum <= mask.sum() <= self.maximum:
                allowed = f"{self.minimum} to {self.maximum} features (min_features, max_features)"
                raise ValueError(f"initial_subsets[{number}] must have {allowed}, got {mask.sum()}")

    def keep_repaired(self, evolution: Evolution) -> None:
        """Replace each genotype by the one of its subset, with the same fitness; a callback of ``Evolution``.

        Without this, surplus ones would collect in the genotypes and children would inherit little.
        """
        population = evolution.population
        masks = np.array([self.mask(genotype) for genotype in population])
        if np.array_equal(masks, population.bits()):
            return
        kept = Population.from_bits(masks.astype(np.uint8), weights=population.weights)
        kept.fitness = population.fitness
        numbers = evolution.numbers
        evolution.population = kept
        evolution.numbers = numbers  # the parents of the next children, for the lineage


def repaired(mask: Mask, genotype: Genotype, minimum: int, maximum: int) -> Mask:
    """Return *mask* with features left out or added so that *minimum* to *maximum* remain; *genotype* is the seed."""
    count = int(mask.sum())
    if minimum <= count <= maximum:
        return mask
    order = np.random.default_rng([int(word) for word in genotype.words]).permutation(len(mask))
    wanted = min(max(count, minimum), maximum)
    surplus, changing = count > wanted, mask[order] == (count > wanted)
    result = mask.copy()
    result[order[changing][: abs(count - wanted)]] = not surplus
    return result


def masks_of(subsets: Any, features: int, names: Sequence[str] | None) -> list[Mask]:
    """Return subsets that a user gives as masks, (features,) bool each.

    Each is a mask of booleans, or the numbers or names of features, each once. Raises ValueError, which names the
    subset, for anything else.
    """
    if not isinstance(subsets, list | tuple | np.ndarray):
        raise ValueError(f"initial_subsets must be a list of subsets, got {shown(subsets)}")
    return [_mask_of(number, subset, features, names) for number, subset in enumerate(subsets)]


def _mask_of(number: int, subset: Any, features: int, names: Sequence[str] | None) -> Mask:
    array, what = np.asarray(subset), f"initial_subsets[{number}]"
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{what} must be a mask, or numbers or names of features, got {shown(subset)}")
    if array.dtype == bool:
        if len(array) != features:
            raise ValueError(f"{what} must be a mask of {features} features, got {len(array)}")
        return array.copy()
    if array.dtype.kind in "UO":
        known = {} if names is None else {name: place for place, name in enumerate(names)}
        unknown = [name for name in array.tolist() if name not in known]
        if unknown:
            raise ValueError(f"{what} names a feature that X does not have, {shown(unknown[0])}")
        array = np.array([known[name] for name in array.tolist()])
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= features:
        raise ValueError(f"{what} must have numbers of features from 0 to {features - 1}, got {shown(subset)}")
    mask = np.zeros(features, dtype=bool)
    mask[array] = True
    if mask.sum() < len(array):
        raise ValueError(f"{what} must name each feature once (a mask must be bool), got {shown(subset)}")
    return mask


def prices_of(cost: Any, features: int, *, counted: bool) -> Doubles:
    """Return the price of each feature, (features,) float64; ValueError for a *cost* that is not one number or many.

    If *counted*, a single number stands for 1: the price of a subset is then the number of its features.
    """
    prices = np.asarray(cost)
    if prices.dtype.kind not in "iuf" or prices.shape not in ((), (features,)) or not np.isfinite(prices).all():
        raise ValueError(f"feature_cost must be a finite number, or one for each of {features}, got {shown(cost)}")
    return np.full(features, 1.0 if counted and prices.ndim == 0 else prices, dtype=np.float64)
