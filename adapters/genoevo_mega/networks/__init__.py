"""Networks of the agent, one architecture a file, behind one interface.

A network maps task-major input (tasks, batch, features) to (ensemble, tasks, batch, outputs): the actor is an
ensemble of one, the twin critics of two. What evolution decides arrives as a
:class:`~genoevo_mega.networks.routing.Routing` with each call. Beside ``forward`` it has ``pool``, its modules,
``parameter_count``, and ``operations(stages)``, those of its matrix products for one row of every task; and where it
can grow, ``grow(rng)``, which adds a module on the CPU. The pool of the architectures that do not evolve is empty,
and they read nothing from the routing; ``alone(task)`` gives what
:class:`~genoevo_mega.policies.single_task.FixedPolicy` computes one task with. One of your own, named
``package.module:callable``, is such a network too (:mod:`genoevo_mega.networks.custom`);
:class:`~genoevo_mega.networks.fixed.FixedNetwork` and the functions beside it are what the others are made of.
"""

from typing import Any, NamedTuple

from genoevo_mega.networks.d2r import D2rNetwork
from genoevo_mega.networks.fixed import FixedNetwork, task_heads, task_vectors
from genoevo_mega.networks.layers import linear, shared
from genoevo_mega.networks.modular import ModularNetwork
from genoevo_mega.networks.moore import MooreNetwork
from genoevo_mega.networks.mtmhsac import MultiHeadNetwork
from genoevo_mega.networks.mtsac import MlpNetwork
from genoevo_mega.networks.paco import PacoNetwork
from genoevo_mega.networks.routing import Routing
from genoevo_mega.networks.soft_modules import SoftModulesNetwork


class Architecture(NamedTuple):
    """How a network is made: its class, and the group of settings that holds its sizes."""

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
    "ModularNetwork",
    "Routing",
    "linear",
    "shared",
    "task_heads",
    "task_vectors",
]
