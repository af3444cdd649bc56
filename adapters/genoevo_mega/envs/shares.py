"""How tasks are dealt to rollout workers, and workers to nodes, so that all have equal work."""

from __future__ import annotations

from collections.abc import Sequence


def spread(costs: Sequence[float], workers: int) -> list[list[int]]:
    """Return each worker's tasks: the costliest comes first, each goes to the least load so far (Graham 1969)."""
    shares: list[list[int]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    for task in sorted(range(len(costs)), key=lambda task: -costs[task]):
        least = loads.index(min(loads))
        shares[least].append(task)
        loads[least] += costs[task]
    return shares


def deal(share: list[int], costs: Sequence[float], groups: int, first: int) -> list[list[int]]:
    """Return the tasks of worker number *first*, a list for each group.

    The group that comes first differs from worker to worker, so that workers with fewer tasks than groups do not all
    serve the same group.
    """
    hands = spread([costs[task] for task in share], groups)
    dealt = [[share[place] for place in hand] for hand in hands]
    return dealt[-(first % groups) :] + dealt[: -(first % groups)]


def place(loads: Sequence[float], nodes: Sequence[str]) -> list[int]:
    """Return a seat for each worker so that the loads of the nodes are as equal as possible.

    *loads* is the work of each worker, *nodes* the node of each seat; there are as many seats as workers.
    """
    free = list(range(len(nodes)))
    carried = dict.fromkeys(nodes, 0.0)
    seats = [0] * len(loads)
    for worker in sorted(range(len(loads)), key=lambda worker: -loads[worker]):
        seat = min(free, key=lambda seat: (carried[nodes[seat]], seat))
        free.remove(seat)
        carried[nodes[seat]] += loads[worker]
        seats[worker] = seat
    return seats
