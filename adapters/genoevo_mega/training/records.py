"""The records of ``metrics.jsonl`` as JSON values, and lines for a display."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from genoevo_mega.agents import gradient_conflict
from genoevo_mega.envs.fault_counts import Fault
from genoevo_mega.evolution.outcome import RoundResult
from genoevo_mega.training.evaluation import SuccessRate
from genoevo_mega.training.state import TrainingState


def by_task(names: Sequence[str], values: Any) -> dict[str, Any]:
    """Return the values of an array or tensor (tasks,) by the names of the tasks."""
    return dict(zip(names, values.tolist(), strict=True))


def of_round(state: TrainingState, names: Sequence[str], result: RoundResult) -> dict[str, Any]:
    """Return the record of a round, with the losses since the last round, which are then reset."""
    agent, evolver = state.agent, state.evolver
    masked = state.take_masked()
    return {
        "kind": "round",
        "step": state.steps,
        "round": evolver.rounds,
        "updates": agent.updates,
        "pool_size": len(agent.actor.pool),
        "success": by_task(names, result.success),
        "return": by_task(names, result.mean_return),
        "score": by_task(names, result.best_score),
        "episodes": by_task(names, result.episodes),
        "stage": by_task(names, evolver.stages),
        "effective_modules": by_task(names, result.effective_modules),
        "restored": [names[task] for task in result.restored],
        "temperature": by_task(names, agent.log_temperature.detach().exp()),
        "losses": state.losses.take(),
        **({} if masked is None else {"masked": dict(zip(names, masked, strict=True))}),
        **result.descent,
    }


def of_evaluation(step: int, names: Sequence[str], rates: Sequence[SuccessRate]) -> dict[str, Any]:
    """Return the record of an evaluation."""
    success = {name: rate.success for name, rate in zip(names, rates, strict=True)}
    return {"kind": "evaluation", "step": step, "episodes": rates[0].episodes, "greedy_success": success}


def of_conflict(state: TrainingState, names: Sequence[str], cosines: dict[str, Tensor]) -> dict[str, Any]:
    """Return the record of gradient conflict; *cosines* are (tasks, tasks), by network."""
    summaries = {name: gradient_conflict.summary(cosine.cpu(), list(names)) for name, cosine in cosines.items()}
    return {"kind": "conflict", "step": state.steps, "updates": state.agent.updates, **summaries}


def of_fault(step: int, fault: Fault) -> dict[str, Any]:
    """Return the record of a fault of a rollout worker."""
    return {
        "kind": "fault",
        "step": step,
        "worker": fault.worker,
        "reason": fault.reason,
        "tasks": list(fault.tasks),
    }


def fault_line(fault: Fault) -> str:
    """Return a line about a fault of a rollout worker."""
    return f"rollout worker {fault.worker}: {fault.reason}; episodes begin anew: {', '.join(fault.tasks)}"


def stage_lines(names: Sequence[str], stages: Sequence[int], result: RoundResult) -> Iterator[str]:
    """Yield a line about each change of a stage in a round."""
    for verb, changed in (("grew", result.grown), ("shrank", result.shrunk), ("went back", result.restored)):
        yield from (f"{names[task]} {verb} to stage {stages[task]}" for task in changed)
