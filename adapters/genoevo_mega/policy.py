"""Trained policies, one task at a time: as a plain network, and as an object with ``predict``.

Training computes all tasks in one pass. :class:`TaskPolicy` is MEGA's arithmetic for a single task, as ordinary
layers: the genotype's weights are constants, the task's one-hot is part of a bias, and modules that are not on a path
of any weight to the output are left out. :class:`FixedPolicy` is that of the other architectures: their own, without
what belongs to the other tasks.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from genoevo_mega import checkpoint, runs
from genoevo_mega.build import make_suite
from genoevo_mega.config import Config
from genoevo_mega.errors import UserError, nearest
from genoevo_mega.networks import FixedNetwork, ModularNetwork, Routing
from genoevo_mega.sac import LOG_STD_MAX, LOG_STD_MIN, Agent
from genoevo_mega.tasks import Suite

Floats = npt.NDArray[np.float32]
Edges = dict[int, float]
"""Weights by source: 0 is the embedding, k the pool's module k."""


@dataclass(frozen=True)
class Trained:
    """What a run has learnt: its agent, and the routing of every task's elite genotype, if it has genotypes."""

    config: Config
    suite: Suite
    agent: Agent
    routing: Routing

    @classmethod
    def of_run(cls, directory: Path) -> Trained:
        """From the newest checkpoint, on the CPU wherever it trained; UserError where there is none."""
        config = runs.open_config(directory)
        config = config.model_copy(update={"machine": config.machine.model_copy(update={"device": "cpu"})})
        suite = make_suite(config)
        agent, evolver = checkpoint.load_policy(checkpoint.find(directory), config, suite)
        return cls(config, suite, agent, evolver.elite())

    def tasks(self, chosen: str) -> list[int]:
        """Indices of ``all`` or of a task's name; UserError for another."""
        names = list(self.suite.names)
        if chosen != "all" and chosen not in names:
            raise UserError(f"task = {chosen!r}: must be all or one of {', '.join(names)}{nearest(chosen, names)}")
        return list(range(len(names))) if chosen == "all" else [names.index(chosen)]

    def policy(self, task: int, *, greedy: bool = True, threshold: float = 0.0) -> TaskPolicy | FixedPolicy:
        """One task's greedy policy, or the mean and log standard deviation of its Gaussian.

        *threshold* is that of :meth:`Graph.of_task`; without genotypes there is nothing that it could cut. UserError
        for an architecture of the user's own that is no :class:`~genoevo_mega.networks.fixed.FixedNetwork`.
        """
        network, outputs = self.agent.averaged if greedy else self.agent.actor, self.suite.action_size
        outputs = outputs if greedy else 2 * outputs
        if isinstance(network, FixedNetwork):
            return FixedPolicy(network, task, self.suite.observation_size, outputs, squash=greedy)
        if not isinstance(network, ModularNetwork):
            raise UserError(
                f"architecture = {self.config.architecture!r}: one task's policy can be taken from a network only "
                "where it is a genoevo_mega.networks.FixedNetwork"
            )
        return TaskPolicy(network, task, Graph.of_task(self.routing, task, threshold), outputs, squash=greedy)

    @torch.no_grad()
    def greedy(self, observations: Tensor) -> Tensor:
        """Actions (tasks, batch, action_size) of the network as it trained; for (tasks, batch, observation_size)."""
        return torch.tanh(self.agent.averaged(observations, self.routing)[0].chunk(2, dim=-1)[0])


@dataclass(frozen=True)
class Graph:
    """One task's modules: ``inputs`` of each by its number in the pool, in rising order, and of the ``output``."""

    inputs: dict[int, Edges]
    output: Edges

    @classmethod
    def of_task(cls, routing: Routing, task: int, threshold: float = 0.0) -> Graph:
        """A task's graph, cut to the edges whose share of the output is above *threshold*.

        An edge's share is the sum over all paths from it to the output of the products of weights. A module without
        such an edge to the output is left out; one with keeps at least its strongest input.
        """
        stage = routing.stages[task]
        weights = {1: [1.0]}
        weights |= {k: routing.inputs[task, 0, k - 2, :k].tolist() for k in range(2, stage + 1)}
        output = routing.output[task, 0, : stage + 1].tolist()
        share = list(output)
        kept = {j for j, weight in enumerate(output) if weight > threshold}
        inputs = {}
        for k in range(stage, 0, -1):
            for j, weight in enumerate(weights[k]):
                share[j] += share[k] * weight
            if k in kept:
                strongest = max(weights[k])
                inputs[k] = {j: w for j, w in enumerate(weights[k]) if w == strongest or share[k] * w > threshold}
                kept |= set(inputs[k])
        return cls(dict(sorted(inputs.items())), {j: w for j, w in enumerate(output) if w > threshold})

    @classmethod
    def full(cls, modules: int) -> Graph:
        """The graph of a task that uses *modules* modules and every edge, with equal weights."""
        inputs = {k: dict.fromkeys(range(k), 1 / k) for k in range(1, modules + 1)}
        return cls(inputs, dict.fromkeys(range(modules + 1), 1 / (modules + 1)))

    def shares(self) -> dict[int, float]:
        """Each module's share of the output, and the embedding's by paths around all modules (number 0)."""
        share = {0: 0.0, **dict.fromkeys(self.inputs, 0.0)} | self.output
        for k in reversed(self.inputs):
            for j, weight in self.inputs[k].items():
                if j or k > 1:  # module 1 reads the embedding alone: that is module 1's share
                    share[j] += share[k] * weight
        return share


class TaskPolicy(nn.Module):
    """The first *outputs* outputs of an actor for one task: (batch, observation_size) -> (batch, outputs).

    Plain linear layers and additions in fp32, a static graph. With *squash* the outputs pass through tanh and are the
    greedy action.
    """

    def __init__(self, network: ModularNetwork, task: int, graph: Graph, outputs: int, *, squash: bool) -> None:
        super().__init__()
        task_bias, *core = [tensor.detach()[0] for tensor in network.core.tensors()]
        layers = [core[i : i + 2] for i in range(0, len(core), 2)]
        layers[0] = [layers[0][0], layers[0][1] + task_bias[task]]
        self.graph, self.squash = graph, squash
        self.embedding = nn.Sequential(*(part for layer in layers[:-1] for part in (_linear(*layer), nn.ReLU())))
        self.pool = nn.ModuleDict({str(k): _module(network, k) for k in graph.inputs})
        head, bias = layers[-1]
        self.head = _linear(head[:, :outputs], bias[:, :outputs])

    def hidden(self, observations: Tensor) -> dict[int, Tensor]:
        """The embedding (number 0) and every module's output, (batch, width) each."""
        hidden = {0: self.embedding(observations)}
        for k, edges in self.graph.inputs.items():
            hidden[k] = self.pool[str(k)](_mixed(edges, hidden))
        return hidden

    def output(self, hidden: dict[int, Tensor]) -> Tensor:
        """The output from what :meth:`hidden` gives."""
        out = self.head(_mixed(self.graph.output, hidden))
        return torch.tanh(out) if self.squash else out

    def forward(self, observations: Tensor) -> Tensor:
        """See the class."""
        return self.output(self.hidden(observations))

    @property
    def parameter_count(self) -> int:
        """Numbers in all layers."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def multiply_adds(self) -> int:
        """Of one observation: those of the layers, and one for each number that a weight of the genotype scales."""
        products = sum(layer.weight.numel() for layer in self.modules() if isinstance(layer, nn.Linear))
        sums = [*self.graph.inputs.values(), self.graph.output]
        scaled = sum(len(edges) for edges in sums if list(edges.values()) != [1.0])
        return products + scaled * self.head.in_features


class FixedPolicy(nn.Module):
    """:class:`TaskPolicy` for an architecture whose structure does not evolve.

    UserError where the network still answers for several tasks: its ``by_task`` then names too few tensors.
    """

    def __init__(self, network: FixedNetwork, task: int, inputs: int, outputs: int, *, squash: bool) -> None:
        super().__init__()
        self.squash, self.inputs, self._outputs, self._compute = squash, inputs, outputs, network.compute
        for i, tensor in enumerate(network.alone(task)):
            self.register_buffer(f"tensor{i}", tensor)
        answers = self._compute(torch.zeros(1, 1, 1, inputs), list(self.buffers()))
        if answers.shape[1] != 1:
            raise UserError(
                f"{type(network).__name__}: by_task must name every tensor whose second axis is the tasks"
            )

    def forward(self, observations: Tensor) -> Tensor:
        """See :class:`TaskPolicy`."""
        out = self._compute(observations[None, None], list(self.buffers()))[0, 0, :, : self._outputs]
        return torch.tanh(out) if self.squash else out

    @property
    def parameter_count(self) -> int:
        """Numbers in all tensors, the part of the head for the standard deviation among them."""
        return sum(tensor.numel() for tensor in self.buffers())

    @property
    def multiply_adds(self) -> int:
        """Of one observation, those of all matrix products."""
        with FlopCounterMode(display=False) as counter:
            self(torch.zeros(1, self.inputs))
        return counter.get_total_flops() // 2


class Policy:
    """The greedy policies of a run, in the manner of stable-baselines3.

    Attributes
    ----------
    tasks : tuple of str
        The names that :meth:`predict` takes.
    observation_size, action_size : int

    """

    def __init__(self, trained: Trained, seed: int | None = None) -> None:
        self.tasks = tuple(trained.suite.names)
        self.observation_size, self.action_size = trained.suite.observation_size, trained.suite.action_size
        self._rng = np.random.default_rng(seed)
        self._network = functools.cache(trained.policy)  # made when first asked for: a suite may have many tasks

    @torch.no_grad()
    def predict(
        self, observation: npt.ArrayLike, task: str | int, *, deterministic: bool = True
    ) -> tuple[Floats, None]:
        """The action for one observation, or for each of a batch of one task's.

        Parameters
        ----------
        observation
            (observation_size,) or (batch, observation_size), as the task's environment gives it.
        task
            Its name or its place in :attr:`tasks`.
        deterministic
            False draws from the policy's Gaussian, from the seed given to :func:`load_policy`.

        Returns
        -------
        (action_size,) or (batch, action_size) float32 in [-1, 1]; and None, where stable-baselines3 has the state of
        a recurrent policy.

        Raises
        ------
        ValueError
            For an unknown task, or an observation of another shape or with values that are not finite.

        """
        index, rows = self._index(task), np.asarray(observation, np.float32)
        if rows.ndim not in (1, 2) or rows.shape[-1] != self.observation_size:
            size = self.observation_size
            raise ValueError(f"observation must have shape ({size},) or (batch, {size}), got {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError("observation must be finite")
        batch = torch.from_numpy(np.atleast_2d(rows))
        if deterministic:
            actions = self._network(index)(batch).numpy()
        else:
            mean, log_std = self._network(index, greedy=False)(batch).chunk(2, dim=-1)
            noise = self._rng.standard_normal(mean.shape, np.float32)
            actions = np.tanh(mean.numpy() + log_std.clamp(LOG_STD_MIN, LOG_STD_MAX).exp().numpy() * noise)
        return (actions[0] if rows.ndim == 1 else actions), None

    def _index(self, task: str | int) -> int:
        names = list(self.tasks)
        if isinstance(task, str) and task in names:
            return names.index(task)
        if isinstance(task, (int, np.integer)) and 0 <= task < len(names):
            return int(task)
        raise ValueError(
            f"task must be one of {', '.join(names)} or its index, got {task!r}{nearest(str(task), names)}"
        )


def load_policy(directory: Path, *, seed: int | None = None) -> Policy:
    """The policies of a run's newest checkpoint; UserError where *directory* holds none."""
    return Policy(Trained.of_run(Path(directory)), seed)


def _mixed(edges: Edges, hidden: dict[int, Tensor]) -> Tensor:
    terms = [hidden[j] if weight == 1.0 else weight * hidden[j] for j, weight in edges.items()]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape, device="meta")
    layer.weight = nn.Parameter(weight.T.contiguous(), requires_grad=False)
    layer.bias = nn.Parameter(bias.reshape(-1).clone(), requires_grad=False)
    return layer


def _module(network: ModularNetwork, number: int) -> nn.Sequential:
    inner, inner_bias, outer, outer_bias = [tensor.detach()[0] for tensor in network.pool[number - 1].tensors()]
    return nn.Sequential(_linear(inner, inner_bias), nn.ReLU(), _linear(outer, outer_bias), nn.ReLU())
