"""The base of the algorithms that keep one solution."""

from __future__ import annotations

from genoevo.algorithms.algorithm import Algorithm
from genoevo.algorithms.options import Course
from genoevo.algorithms.solutions import Solutions
from genoevo.evolution.pending import Pending
from genoevo.state import State, check_state


class OneParent(Algorithm):
    """An algorithm that keeps one solution, at first the best of those to start from."""

    parent: Solutions | None = None

    def _first(self) -> Course:
        """Evaluate the genotypes to start from."""
        answer = yield Pending.given(self.start)
        best = int(answer.merit.argmax())
        self._take(Solutions.of(self.start, *answer)[best : best + 1])

    def _take(self, parent: Solutions) -> None:
        self.parent = parent
        self._show(parent)

    def _own_state(self) -> State:
        assert self.parent is not None
        return {"parent": self.parent.as_state()}

    def _restore(self, own: State) -> None:
        check_state(f"the parent of a {type(self).__name__}", own, ("parent",))
        parent = Solutions.from_state(own["parent"], self.start)
        if len(parent) != 1:
            raise ValueError(f"parent must be one solution, got {len(parent)}")
        self._take(parent)
