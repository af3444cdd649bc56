"""Checkpoints of a search: its state saved as it runs, by one process at a time, also on Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, Self

from genoevo._check import check_at_least, check_whole, shown
from genoevo.state.file import load, save
from genoevo.state.lock import Held, InUseError, held
from genoevo.state.parts import State
from genoevo.state.values import json_value

__all__ = ["Checkpoint", "InUseError", "Interrupted", "Stateful", "check_about"]


class Stateful(Protocol):
    """The interface of what can be saved: an :class:`~genoevo.Evolution`, a :class:`~genoevo.Community`."""

    def state_dict(self) -> State:
        """Return the whole state."""


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived, the current generation or evaluation is complete, and its state is saved."""

    __module__ = "genoevo.checkpoint"  # tracebacks name the path that users import


class Checkpoint:
    """A callback of :class:`~genoevo.Evolution` and a context manager that saves a search to one file as it runs.

    Within the context only this process can use the file. SIGINT (Ctrl-C) and SIGTERM end the search by
    :class:`Interrupted`, after the current generation has been completed and saved. A second signal ends it at
    once. Leaving the context normally saves what is not saved yet. Each save is atomic, so whatever ends the
    process, the file holds the state of a whole generation. An algorithm of :mod:`genoevo.algorithms`, whose
    generations may be long, is also saved within them. Outside the main thread signals are not handled.

    Parameters
    ----------
    path
        The file. Its directory must exist.
    every
        Generations from one save to the next; None for *seconds* alone.
    seconds
        Seconds after which the search is saved, at the latest; infinity for *every* alone.
    about
        JSON values that identify the search. They are kept in the file under ``about``, and :meth:`load` refuses a
        file with others. Tuples and arrays become lists, numbers of numpy those of Python, enumerations their values
        and paths text.

    Raises
    ------
    InUseError
        On entering, if another process uses the file.
    OSError
        On entering and saving, if the file cannot be written. It is unchanged then.
    TypeError, ValueError
        For a value in *about* that JSON does not have, and for NaN.

    Examples
    --------
    ::

        with Checkpoint("search.npz", every=100) as checkpoint:
            state = checkpoint.load()
            if state is None:
                evolution = Evolution(evaluate, start, seed=1, callbacks=[checkpoint])
            else:
                evolution = Evolution.from_state(state, evaluate, callbacks=[checkpoint])
            evolution.run(stop=Stop(generations=1000))

    With other callbacks, put it last.

    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every: int | None = None,
        seconds: float = 10.0,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        if every is not None:
            check_whole("every", every, 1)
        check_at_least("seconds", seconds, 0)
        self.path, self.every, self.seconds = Path(path), every, seconds
        self.about = about
        self.interrupted = False
        self._unsaved: Stateful | None = None
        self._since, self._saved_at = 0, time.monotonic()
        self._context = ExitStack()
        self._lock: Held | None = None

    @property
    def about(self) -> dict[str, Any] | None:
        """The values that identify the search, as JSON gives them back."""
        return self._about

    @about.setter
    def about(self, about: Mapping[str, Any] | None) -> None:
        self._about = None if about is None else _plain(about)

    def load(self) -> State | None:
        """Return the state in the file, or None if there is no file.

        Raises ValueError for a file that is not a state, and for the state of another search, with the entry of
        *about* that differs.
        """
        try:
            state = load(self.path)
        except FileNotFoundError:
            return None
        if self.about is not None:
            check_about(self.path, state, self.about)
        return state

    def __call__(self, search: Stateful) -> None:
        """Save *search*, whose generation is complete, if a save is due."""
        self._since += 1
        self._save_if(search, due=self._since == self.every)

    def within(self, search: Stateful) -> None:
        """Save *search*, which is within a generation and can be saved there, if a save is due by time."""
        self._save_if(search, due=False)

    def _save_if(self, search: Stateful, *, due: bool) -> None:
        self._unsaved = search
        if due or self.is_late or self.interrupted:
            self.save(search)
        if self.interrupted:
            raise Interrupted

    @property
    def is_late(self) -> bool:
        """Whether *seconds* have passed since the last save."""
        return time.monotonic() - self._saved_at >= self.seconds

    def save(self, search: Stateful) -> None:
        """Save *search* now; InUseError if a process of another machine has taken the file in the meantime."""
        if self._lock is not None:
            self._lock.check()
        about = {} if self.about is None else {"about": self.about}
        save(self.path, {**search.state_dict(), **about})
        self._unsaved, self._since, self._saved_at = None, 0, time.monotonic()

    def __enter__(self) -> Self:
        with ExitStack() as context:
            lock = self.path.with_name(f"{self.path.name}.lock")
            held_lock = context.enter_context(held(lock, f"{self.path} is in use"))
            for left in self.path.parent.glob(f"{_escaped(self.path.name)}.*.tmp"):
                left.unlink()  # left by a process that was killed while it saved
            context.enter_context(self._signals())
            self._context, self._lock = context.pop_all(), held_lock
        self._saved_at = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        with self._context:
            if kind is None and self._unsaved is not None:
                self.save(self._unsaved)
        self._lock = None

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True


def save_within(search: Stateful, callbacks: Iterable[object]) -> None:
    """Let each checkpoint among the *callbacks* save a search that is within a generation."""
    for callback in callbacks:
        if isinstance(callback, Checkpoint):
            callback.within(search)


def check_about(path: Path, state: State, about: Mapping[str, Any]) -> None:
    """Raise ValueError unless the *state* from *path* belongs to the search that *about* identifies."""
    known = state.get("about")
    if not isinstance(known, dict):
        raise ValueError(f"{path} does not identify its search: it has no 'about'")
    for name, value in _plain(about).items():
        if known.get(name) != value or type(known.get(name)) is not type(value):
            raise ValueError(f"{path} belongs to a search with {name} {known.get(name)!r:.80}, got {value!r:.80}")


def _plain(about: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(about, Mapping):
        raise TypeError(f"about must be a dict, got {shown(about)}")
    plain: dict[str, Any] = json_value("about", dict(about))
    return plain


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
