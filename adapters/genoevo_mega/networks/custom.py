"""A custom architecture, imported by the name that ``--architecture package.module:callable`` gives.

The callable is called as ``make(inputs, outputs, tasks=..., ensemble=..., rng=..., precision=...)`` for the actor
(an ensemble of one) and for the critics (of two) and returns a network as :mod:`genoevo_mega.networks` describes it,
which does not grow. The name is imported by :mod:`genoevo_runs.user_code`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from genoevo_mega.networks.routing import Routing
from genoevo_runs import user_code
from genoevo_runs.errors import ConfigError


def make_custom(name: str, inputs: int, outputs: int, *, tasks: int, ensemble: int, **given: Any) -> nn.Module:
    """Make the network of *name*; ConfigError, one line, if it fails or lacks what a network has."""
    make = user_code.imported("architecture", name)
    try:
        network: nn.Module = make(inputs, outputs, tasks=tasks, ensemble=ensemble, **given)
        problem = _problem(network, inputs, (ensemble, tasks, 2, outputs))
    except Exception as error:
        raise ConfigError(f"architecture = {name!r}: making or trying it failed: {user_code.line(error)}") from error
    if problem:
        raise ConfigError(f"architecture = {name!r}: what it returns {problem}; see docs/tutorials/network.rst")
    return network


def _problem(network: Any, inputs: int, expected: tuple[int, ...]) -> str:
    """Return why an object is not a network whose output for a batch of two has that shape; empty if it is one."""
    if not isinstance(network, nn.Module):
        return f"must be a torch.nn.Module, and is {type(network).__name__}"
    parameters = list(network.parameters())
    if not parameters or {parameter.dtype for parameter in parameters} != {torch.float32}:
        return "must have parameters, all of them float32"
    pool = getattr(network, "pool", None)
    if not isinstance(pool, nn.ModuleList) or len(pool):
        return "must have pool, an empty torch.nn.ModuleList"
    if getattr(network, "parameter_count", None) != sum(parameter.numel() for parameter in parameters):
        return "must have parameter_count, the number of its parameters"
    tasks = expected[1]
    if not callable(getattr(network, "operations", None)) or not network.operations((0,) * tasks) > 0:
        return "must have operations(stages, *, first_layer=True), a number above 0"
    with torch.no_grad(), torch.device(parameters[0].device):
        x = torch.zeros(tasks, 2, inputs)
        unread = Routing(torch.zeros(tasks, 1, 1, 1), torch.zeros(tasks, 1, 1), (0,) * tasks)
        out = network(x, unread)
    if out.shape != expected or out.dtype != torch.float32:
        return f"must give float32 {expected} for {tuple(x.shape)}, and gives {out.dtype} {tuple(out.shape)}"
    return ""
