"""Runs that move to another machine: what stays exact, and what does not.

``run.json`` lists the stints of a run as ``machines``: each has the facts of the machine from one step on. One is
added when a run is resumed with other facts than those that its checkpoint was written with.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from genoevo_mega.config.run import Config
from genoevo_mega.envs import ray_nodes
from genoevo_runs import machine
from genoevo_runs.errors import ConfigError
from genoevo_runs.machine import Fact, Facts
from genoevo_runs.manifest import Count, Record

PACKAGES = ("genoevo", "deap", "numpy", "torch", "gymnasium", "metaworld", "mujoco", "scipy", "pydantic")

_PRODUCTS = "matrix products may round differently"
_MATHS = "its functions may round differently"
_SIMULATORS = "rollout_processors"
BITS = {
    "threads": "gradients are summed in other parts",
    "smallest_shard": "gradients are summed in other parts",
    "kernels": "sums are made in another order",
    "device": _PRODUCTS,
    "cuda": _PRODUCTS,
    "architecture": _PRODUCTS,
    "processor": _PRODUCTS,
    "cpu_features": _PRODUCTS,
    "torch": _PRODUCTS,
    "numpy": _MATHS,
    "libc": _MATHS,
    _SIMULATORS: "simulators may round differently",
    "mujoco": "the simulation may differ",
    "metaworld": "the tasks may differ",
    "gymnasium": "the tasks may differ",
    "genoevo": "the algorithm may differ",
    "deap": "selection may differ",
}
"""The facts that a run's bits depend on, each with the reason."""

_QUIET = {"directory", "cores", "python", "scipy", "pydantic", "system"}
"""Facts that by themselves are not worth a line."""


class Stint(Record):
    """A part of a run: from *step* on it was trained with these *facts*.

    ``empty_replay`` says that the replay of its checkpoint had been left out.
    """

    step: Count
    time: str
    facts: dict[str, Fact]
    empty_replay: bool = False

    @classmethod
    def now(cls, step: int, facts: Facts, *, empty_replay: bool = False) -> Stint:
        """Return a stint that begins now."""
        return cls(
            step=step, time=datetime.now(UTC).isoformat(timespec="seconds"), facts=facts, empty_replay=empty_replay
        )


def facts(directory: Path, config: Config) -> Facts:
    """Return the facts of this machine, of what *config* uses of it, and of the machines that simulate.

    UserError if these are a Ray cluster that cannot be reached.
    """
    cuda, on_ray = config.compute.device == "cuda", config.compute.rollouts == "ray"
    return {
        **machine.facts(directory, PACKAGES),
        "cpu_features": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "cuda": torch.version.cuda if cuda else None,
        "threads": config.compute.threads,
        "smallest_shard": config.compute.smallest_shard,
        "kernels": config.compute.kernels,
        "rollouts": config.compute.rollouts,
        _SIMULATORS: ray_nodes.kinds(config.faults.worker_timeout) if on_ray else machine.arithmetic(),
        "workers": config.compute.workers,
        "halves": int(config.schedule.double_buffering),
    }


def led_to(stints: Sequence[Stint], step: int | None = None) -> list[Stint]:
    """Return the stints that the checkpoint at *step* comes from, or the newest for None; the first one at least.

    A resume from an earlier checkpoint, or before the first checkpoint, makes stints void.
    """
    found: list[Stint] = []
    for stint in stints:
        while found and found[-1].step >= stint.step:
            found.pop()
        found.append(stint)
    return [stint for stint in found if step is None or stint.step < step] or found[:1]


def next_stint(stints: Sequence[Stint], now: Stint) -> Stint | None:
    """Return *now* if ``run.json`` must list it; None if the run continues as its last stint began."""
    last, before = led_to(stints)[-1:], led_to(stints, now.step)[-1:]
    same = bool(before) and last == before and before[0].facts == now.facts and not inexact(before[0].facts, now)
    return None if same else now


def differing(before: Facts, now: Facts) -> dict[str, tuple[Fact, Fact]]:
    """Return value before and value now of each fact that both know and that differs."""
    return {name: (before[name], now[name]) for name in now if name in before and before[name] != now[name]}


def inexact(before: Facts, now: Stint) -> dict[str, str]:
    """Return the reasons why a run that moves is not exact, by fact; none if it is."""
    found = differing(before, now.facts)
    reasons = {name: BITS[name] for name in found if name in BITS}
    local = {"local"} >= {before.get("rollouts", "local"), now.facts.get("rollouts", "local")}
    if local and found.keys() & {"processor", "libc"}:
        reasons.pop(_SIMULATORS, None)  # the same machine
    if _SIMULATORS in before and ray_nodes.SEVERAL in str(now.facts.get(_SIMULATORS)):
        reasons[_SIMULATORS] = "nodes of several kinds: a task may be simulated on another kind than before"
    if "workers" in found and (now.facts.get("halves") or before.get("halves")):
        reasons["workers"] = "the halves of schedule.double_buffering have other tasks"
    if "halves" in found:
        reasons["halves"] = "the halves of the tasks draw their actions one after the other"
    if now.empty_replay:
        reasons["replay"] = "it was left out of the archive, and begins empty"
    return reasons


def lines(before: Facts, now: Stint) -> Iterator[str]:
    """Yield what to tell of a run that is resumed as *now*; *before* are its checkpoint's facts, as far as known."""
    if line := moved(before, now):
        yield line
    if differing(before, now.facts).keys() & {"host", "cores"}:
        yield from _too_many(now.facts)


def moved(before: Facts, now: Stint) -> str | None:
    """Return a line on what of a move is exact and what is not; None if nothing is worth one."""
    found, reasons = differing(before, now.facts), inexact(before, now)
    if reasons:
        lost = [_change(name, found.get(name), why) for name, why in reasons.items()]
        return f"from step {now.step:,} the run is not bit for bit what it would have been: {'; '.join(lost)}"
    if found.keys() - _QUIET:
        kept = [_change(name, pair) for name, pair in found.items()]
        return f"the run moves at step {now.step:,} and stays exact: {'; '.join(kept)}"
    return None


def _change(name: str, pair: tuple[Fact, Fact] | None, why: str = "") -> str:
    change = name if pair is None else f"{name} {_shown(pair[0])} -> {_shown(pair[1])}"
    return f"{change} ({why})" if why else change


def _shown(fact: Fact) -> str:
    return "unknown" if fact is None else str(fact)


def _too_many(now: Facts) -> Iterator[str]:
    cores, threads, workers = now["cores"], now["threads"], now["workers"]
    if isinstance(cores, int) and isinstance(threads, int) and threads > cores:
        yield (
            f"compute.threads = {threads} on {cores} cores: exact but slow; --set compute.threads={cores} is faster "
            "and not exact"
        )
    here = now.get("rollouts") != "ray" and not now["halves"]
    if here and isinstance(cores, int) and isinstance(workers, int) and workers > 2 * cores:
        yield f"compute.workers = {workers} on {cores} cores: --set compute.workers={cores} is exact and lighter"


def check_device(directory: Path, config: Config) -> None:
    """Raise ConfigError if the run's device is missing here, with the settings that let it be resumed."""
    if config.compute.device == "cuda" and not torch.cuda.is_available():
        changed = ["compute.device=cpu"] + ["sac.precision=fp32"] * (config.sac.precision == "tf32")
        given = " ".join(f"--set {setting}" for setting in changed)
        raise ConfigError(
            f"compute.device = 'cuda': torch finds no CUDA device here; genoevo mega resume "
            f"{shlex.quote(str(directory))} {given} continues on the CPU, equal within rounding"
        )


def summary(stints: Sequence[Stint], step: int) -> list[dict[str, Any]]:
    """Return, as JSON values, the stints that led to the checkpoint at *step*.

    Each has ``step``, ``time``, ``facts``, ``changed`` (value before and now by fact), ``exact``, ``reasons`` by
    fact, and the ``line`` of :func:`moved`.
    """
    found, before = [], None
    for stint in led_to(stints, step):
        reasons = inexact(before or {}, stint)
        found.append(
            {
                **stint.model_dump(),
                "changed": differing(before or {}, stint.facts),
                "exact": not reasons,
                "reasons": reasons,
                "line": moved(before or {}, stint),
            }
        )
        before = stint.facts
    return found
