"""Networks of the agent, one architecture a file, behind one interface.

A network maps task-major input (tasks, batch, features) to (ensemble, tasks, batch, outputs): the actor is an
ensemble of one, the twin critics of two. What evolution decides arrives as a :class:`Routing` with each call. Beside
``forward`` it has ``pool``, its modules, ``grow(rng)``, which adds one on the CPU,
``parameter_count``, and ``operations(stages)``, those of its matrix products for one row of every task.
"""

from genoevo_mega.networks.modular import ModularNetwork, Routing

__all__ = ["ModularNetwork", "Routing"]
