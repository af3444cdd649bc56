"""The base of the algorithms that learn linkage: inside the common prefix of all lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from genoevo._bits import stray_bits
from genoevo._types import Words
from genoevo.algorithms.algorithm import Algorithm
from genoevo.algorithms.solutions import Solutions
from genoevo.algorithms.tree import Tree, distances, linkage_tree
from genoevo.state import check_array


class LinkageLearner(Algorithm):
    """An algorithm that learns linkage trees of the bits that all of its genotypes have."""

    def _learned(self, solutions: Solutions) -> Tree:
        """Return the linkage tree of *solutions*; the cluster of all common bits is of use if lengths are mixed."""
        shortest, longest = int(self.start.lengths.min()), int(self.start.lengths.max())
        distance = distances(solutions.words, shortest)
        return linkage_tree(distance, solutions.words.shape[1], self.rng, whole=shortest < longest)

    def _clusters(self, value: Any) -> Words:
        """Return the clusters in a state; ValueError if *value* is not masks of common bits."""
        masks = check_array("clusters", value, np.uint64, (None, self.start.words.shape[1]))
        if stray_bits(masks, np.full(len(masks), self.start.lengths.min())):
            raise ValueError("a cluster has bits that not all genotypes have")
        return masks
