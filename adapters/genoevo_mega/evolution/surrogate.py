"""The surrogate fitness of candidates: the critics' value of their actions on states of the replay [O].

No environment step is needed. All candidates of a task are valued on the same states, so that their differences do
not depend on which states were drawn (common random numbers). Sources: SERL (Wang et al. 2022) scores an actor by
the mean of Q(s, pi(s)) over recent states. Values are joined and scaled as the learner's are, see
:mod:`genoevo_mega.agents.value` and :mod:`genoevo_mega.agents.normalisation`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from genoevo.community.candidates import Judge
from genoevo.population import Population
from genoevo_mega.evolution.genotype_store import GenotypeStore
from genoevo_mega.networks import Routing
from genoevo_runs.arrays import Doubles, Ints

Values = Callable[[Tensor, Routing], Tensor]
"""Values (tasks, n) of the greedy actions for observations (tasks, n, size), with a routing for them."""
MakeJudge = Callable[[Tensor, Values], Judge]
"""Returns a judge of candidates by values of their actions for observations (tasks, states, size)."""


class Surrogate:
    """Scores candidates on the same *observations* (tasks, states, size) of each task."""

    def __init__(self, store: GenotypeStore, observations: Tensor, values: Values) -> None:
        self._store, self._observations, self._values = store, observations, values

    def __call__(self, candidates: Population, tasks: Ints) -> Doubles:
        """Return the mean value of each candidate, (n,); *tasks* names every task as often as any other, in order."""
        count, (of_tasks, states, size) = len(candidates), self._observations.shape
        each = count // of_tasks
        routing = self._store.routing_of(candidates)
        rows = self._observations[:, None].expand(-1, each, -1, -1).reshape(of_tasks, each * states, size)
        values = self._values(rows, routing).view(of_tasks, each, states)
        return values.mean(-1).reshape(count).double().numpy()
