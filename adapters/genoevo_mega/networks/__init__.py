"""Networks of the agent, one architecture a file, behind one interface.

A network maps task-major input (tasks, batch, features) to (ensemble, tasks, batch, outputs). The actor is an
ensemble of one, the twin critics of two. Each call takes a :class:`~genoevo_mega.networks.routing.Routing`, the
structure that evolution gives. Beside ``forward`` a network has:

- ``pool``, its modules;
- ``parameter_count``;
- ``operations(stages)``, the floating-point operations of its matrix products for one row of every task;
- if its pool can change, ``grow(rng)``, which adds a module on the CPU, and ``shrink()``, which removes the last.

The pool of an architecture that does not evolve is empty, and it reads nothing from the routing. Its ``alone(task)``
returns the tensors with which :class:`~genoevo_mega.networks.single_task.FixedPolicy` computes one task. These
architectures are made of :class:`~genoevo_mega.networks.fixed.FixedNetwork` and the functions beside it. A custom
network is named ``package.module:callable`` (:mod:`genoevo_mega.networks.custom`). Critics may have
their own network, :mod:`genoevo_mega.networks.residual` or :mod:`genoevo_mega.networks.mtsac`.
"""

from typing import Any, NamedTuple

from genoevo_mega.networks.d2r import D2rNetwork
from genoevo_mega.networks.fixed import FixedNetwork, task_heads, task_vectors
from genoevo_mega.networks.input_map import InputMap
from genoevo_mega.networks.layers import linear, normalised, shared
from genoevo_mega.networks.modular import ModularNetwork
from genoevo_mega.networks.moore import MooreNetwork
from genoevo_mega.networks.mtmhsac import MultiHeadNetwork
from genoevo_mega.networks.mtsac import MlpNetwork
from genoevo_mega.networks.paco import PacoNetwork
from genoevo_mega.networks.residual import ResidualNetwork
from genoevo_mega.networks.routing import Routing
from genoevo_mega.networks.soft_modules import SoftModulesNetwork


class Architecture(NamedTuple):
    """The class of a network, and the group of settings that holds its sizes."""

    network: Any
    sizes: str


ARCHITECTURES = {
    "mega": Architecture(ModularNetwork, "network"),
    "mtsac": Architecture(MlpNetwork, "mlp"),
    "mtmhsac": Architecture(MultiHeadNetwork, "mlp"),
    "soft-modules": Architecture(SoftModulesNetwork, "soft_modules"),
    "paco": Architecture(PacoNetwork, "paco"),
    "moore": Architecture(MooreNetwork, "moore"),
    "d2r": Architecture(D2rNetwork, "d2r"),
}

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "FixedNetwork",
    "InputMap",
    "ModularNetwork",
    "ResidualNetwork",
    "Routing",
    "linear",
    "normalised",
    "shared",
    "task_heads",
    "task_vectors",
]
