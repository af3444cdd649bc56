"""The connection to a Ray cluster, for runs and sweeps.

Ray's workers import this module, and need not wait a second for the engine: it is imported where it is used.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from genoevo_runs.errors import RunError, UserError

if TYPE_CHECKING:
    from genoevo.evaluation.ray_cluster import Head


def imported(user: str) -> Any:
    """Return the module ``ray``; UserError with the name of the option or setting that needs it if it is missing."""
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError(f"{user} needs ray: pip install 'genoevo[ray]'") from None
    return ray


def connected(user: str) -> Any:
    """Return the module ``ray``, connected to a cluster.

    This is the cluster that ``RAY_ADDRESS`` names, or that runs on this machine, or else a Ray that is started on
    this machine and ends with this process.

    Parameters
    ----------
    user
        The option or setting that needs Ray, for messages.

    Raises
    ------
    UserError
        If Ray is not installed, or does not start or answer.

    """
    from genoevo.evaluation.ray_cluster import connect

    ray = imported(user)
    if not ray.is_initialized():
        try:
            connect(ray, log_to_driver=False, logging_level=logging.WARNING)
        except Exception as error:  # Ray's own errors of starting have no common class
            raise UserError(f"{user}: Ray does not start: {' '.join(str(error).split())}") from None
    return ray


def disconnect(ray: Any) -> None:
    """End the connection; SIGINT and SIGTERM keep their handlers."""
    from genoevo.evaluation import ray_cluster

    ray_cluster.disconnect(ray)


def living_nodes(ray: Any) -> dict[str, float]:
    """Return the cores of each living node that has any, by its ID; *ray* is the module, connected."""
    cores = {node["NodeID"]: node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]}
    return {node: count for node, count in cores.items() if count}


def head(ray: Any, error: type[RunError]) -> Head:
    """Return the head of the cluster that *ray* is connected to, which raises *error* once it is lost."""
    from genoevo.evaluation.ray_cluster import Head

    return Head(ray, error)
