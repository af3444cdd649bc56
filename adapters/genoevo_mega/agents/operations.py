"""The matrix products of an update, counted."""

from __future__ import annotations

from typing import Any


def per_transition(actor: Any, critics: Any, stages: tuple[int, ...], of_critics: tuple[int, ...]) -> float:
    """Return the floating-point operations of an update's matrix products for one transition of every task.

    *stages* are the modules that each task uses in the actor, *of_critics* those in the critics. The actor computes
    next actions, actions, and its weights' gradients. The critics compute targets, values, their weights' gradients,
    and forward and back to the action for the actor's loss. Either loss goes back through all layers but the first.
    """
    back = actor.operations(stages, first_layer=False) + critics.operations(of_critics, first_layer=False)
    return float(3 * actor.operations(stages) + 5 * critics.operations(of_critics) + back)
