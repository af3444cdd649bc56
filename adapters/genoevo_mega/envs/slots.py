"""The slots of a pool of workers: which of its steps are under way, and where their arrays lie."""

from __future__ import annotations

from collections.abc import Iterator

from genoevo_mega.envs.worker import Request


class Slots:
    """The steps under way, in order; each has a slot, which steps of different groups share.

    Parameters
    ----------
    count
        The number of slots.

    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._under_way: list[Request] = []

    def __len__(self) -> int:
        """Return the number of steps under way."""
        return len(self._under_way)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._under_way)

    def free(self, group: int | None) -> int:
        """Return the lowest slot without a step of *group*; RuntimeError if there is none.

        If one step is under way at a time, all have the same slot, and rows of tasks that take no step are kept.
        """
        taken = {request[0] for request in self._under_way if meet(request, (request[0], group))}
        free = [slot for slot in range(self._count) if slot not in taken]
        if not free:
            raise RuntimeError("no further step of these tasks can be under way: call finish_step first")
        return free[0]

    def begin(self, request: Request) -> None:
        """Note a step that begins."""
        self._under_way.append(request)

    def oldest(self, group: int | None) -> Request:
        """Return slot and *group* of the group's oldest step; RuntimeError if none is under way."""
        for slot, one in self._under_way:
            if meet((slot, one), (slot, group)):
                return slot, group
        raise RuntimeError("no step is under way: call begin_step first")

    def finish(self, request: Request) -> None:
        """Forget the steps of the request's slot and group."""
        self._under_way = [one for one in self._under_way if not meet(one, request)]

    def clear(self) -> None:
        """Forget all steps."""
        self._under_way.clear()


def meet(one: Request, other: Request) -> bool:
    """Return whether two requests have a slot and tasks in common."""
    return one[0] == other[0] and (one[1] is None or other[1] is None or one[1] == other[1])
