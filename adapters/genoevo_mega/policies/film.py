"""Videos of a trained task: the simulator's picture, with MEGA's module graph, lit by activity, beside it."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genoevo_mega.envs import checked
from genoevo_mega.envs.metaworld import MetaWorldSuite
from genoevo_mega.envs.suite import DrawnEnvironment
from genoevo_mega.networks.single_task import FixedPolicy, TaskPolicy
from genoevo_mega.policies.policy import Trained
from genoevo_runs.errors import ConfigError, UserError

FORMATS = (".mp4", ".gif")
_AFTER_SUCCESS = 20  # steps that are still recorded
_PACKAGES = {"imageio": "imageio", "PIL": "pillow", "imageio_ffmpeg": "imageio-ffmpeg"}


@dataclass(frozen=True)
class Film:
    """The settings of a video: a frame per *every* steps, *fps* frames per second, *height* pixels high.

    Meta-World simulates 80 steps per second, so the defaults play in real time.
    """

    episodes: int = 3
    every: int = 4
    fps: int = 20
    height: int = 240


@dataclass(frozen=True)
class Shown:
    """An episode of a video."""

    goal: int
    steps: int
    total_reward: float
    success: bool


def render_task(
    trained: Trained, name: str, out: Path, film: Film, progress: Callable[[int], None] = lambda done: None
) -> list[Shown]:
    """Record greedy episodes of one task, on its first evaluation goals, as a video *out*, an .mp4 or .gif file.

    The light of a module is the mean absolute value of its outputs times its share of the output, relative to the
    largest such value in the episode, on a square-root scale. Architectures without genotypes have no graph.
    *progress* is called with the number of steps done, out of episodes times their length.

    Raises UserError, which names what is wrong or not installed; an existing file is not overwritten.
    """
    _check(out)
    [task] = trained.tasks(name) if name != "all" else [-1]
    if task < 0:
        raise UserError(f"task = 'all': a video shows one of {', '.join(trained.suite.names)}")
    policy = trained.policy(task)
    environment = _environment(trained, task)
    length, shown = trained.config.environment.episode_length, []
    unfinished = out.with_name(f".{out.stem}.part{out.suffix}")
    try:
        with _writer(unfinished, film.fps) as append:
            for goal in range(film.episodes):
                begun = goal * length
                episode = _Episode(environment, policy, goal, film, name, trained.suite.observation_size)
                shown.append(episode.play(length, append, lambda done, begun=begun: progress(begun + done)))
                progress(begun + length)
        unfinished.rename(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return shown


class _Episode:
    def __init__(
        self,
        environment: DrawnEnvironment,
        policy: TaskPolicy | FixedPolicy,
        goal: int,
        film: Film,
        name: str,
        observation_size: int,
    ) -> None:
        self.environment, self.policy, self.goal, self.film, self.name = environment, policy, goal, film, name
        self.size = observation_size

    @torch.no_grad()
    def play(self, length: int, append: Callable[[Any], None], progress: Callable[[int], None]) -> Shown:
        observation = checked.reset(self.environment, self.goal, evaluation=True, size=self.size)
        pictures, active, lines = [], [], []
        total, succeeded_at, terminated, step = 0.0, -1, False, 0
        while step < length and not terminated and not (0 <= succeeded_at < step - _AFTER_SUCCESS):
            action, hidden = self._act(observation)
            if step % self.film.every == 0:
                pictures.append(self._draw())
                active.append(hidden)
                lines.append(self._line(step, succeeded_at >= 0))
            observation, reward, terminated, success = checked.step(self.environment, action, self.size)
            step, total = step + 1, total + reward
            if success and succeeded_at < 0:
                succeeded_at = step
            progress(step)
        pictures.append(self._draw())
        active.append(active[-1])
        lines.append(self._line(step, succeeded_at >= 0))
        for frame in self._frames(pictures, active, lines):
            append(frame)
        return Shown(self.goal, step, round(total, 3), succeeded_at >= 0)

    def _act(self, observation: Any) -> tuple[Any, dict[int, float]]:
        """Return the action, and the activity of each module."""
        rows = torch.from_numpy(np.asarray(observation, np.float32))[None]
        if isinstance(self.policy, FixedPolicy):
            return self.policy(rows)[0].numpy(), {}
        hidden, share = self.policy.hidden(rows), self.policy.graph.shares()
        return self.policy.output(hidden)[0].numpy(), {k: share[k] * float(h.abs().mean()) for k, h in hidden.items()}

    def _frames(
        self, pictures: list[Any], active: list[dict[int, float]], lines: list[tuple[str, bool]]
    ) -> Iterator[Any]:
        from genoevo_mega.policies.graph_panel import GraphPanel, beside, scaled

        if isinstance(self.policy, FixedPolicy):
            yield from (scaled(picture, self.film.height) for picture in pictures)
            return
        panel = GraphPanel(self.policy.graph, self.name, self.film.height)
        largest = max(max(values.values()) for values in active) or 1.0
        for picture, values, (line, success) in zip(pictures, active, lines, strict=True):
            lit = {k: (value / largest) ** 0.5 for k, value in values.items()}
            yield beside(picture, panel.draw(lit, line, success=success))

    def _line(self, step: int, success: bool) -> tuple[str, bool]:
        return f"goal {self.goal + 1}, step {step}" + (": success" if success else ""), success

    def _draw(self) -> Any:
        try:
            return checked.picture(self.environment)
        except Exception as error:
            raise UserError(
                f"the task cannot be rendered: {type(error).__name__}: {' '.join(str(error).split())}{_no_backend()}"
            ) from error


def _environment(trained: Trained, task: int) -> DrawnEnvironment:
    suite: Any = trained.suite
    if isinstance(suite, MetaWorldSuite):
        suite = dataclasses.replace(suite, stock=True)
        choose_backend()
    else:
        prepare_drawing()
    environment = suite.make(task)
    if not callable(getattr(environment, "render", None)):
        raise UserError(f"{trained.suite.names[task]} cannot be rendered: its environment has no render()")
    return environment


def prepare_drawing() -> None:
    """Set MUJOCO_GL as :func:`choose_backend` does, for a suite that may draw with MuJoCo, or with something else.

    If no backend works, it stays unset. Call this before the suite is imported: MuJoCo reads it when it is imported.
    """
    if importlib.util.find_spec("mujoco"):
        with contextlib.suppress(UserError):
            choose_backend()


def _no_backend() -> str:
    """Return why MuJoCo cannot draw here, for the end of a message; empty if it can or if it is not used."""
    if "mujoco" in sys.modules:
        try:
            choose_backend()
        except UserError as error:
            return f"; {error}"
    return ""


def choose_backend() -> str:
    """Set MUJOCO_GL, unless it is set, to a backend that renders here without a screen; UserError if none does.

    Each backend is tried in its own process: a library may be installed without a driver, and cannot be unloaded.
    """
    mine = os.environ.get("MUJOCO_GL")
    for backend in [mine] if mine else ["egl", "osmesa"]:
        environment = {**os.environ, "MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend}
        code = "import mujoco; mujoco.GLContext(8, 8).make_current()"
        if subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True).returncode == 0:
            os.environ["MUJOCO_GL"] = backend
            return backend
    tried = f"MUJOCO_GL={mine} does not work here" if mine else "neither EGL nor OSMesa works here"
    raise UserError(f"rendering without a screen: {tried}; on Debian, apt-get install libegl1 or libosmesa6")


def _check(out: Path) -> None:
    if out.suffix.lower() not in FORMATS:
        raise ConfigError(f"out = {str(out)!r}: must end in {' or '.join(FORMATS)}")
    if out.exists():
        raise ConfigError(f"out = {str(out)!r}: exists; choose another")
    if not out.parent.is_dir():
        raise ConfigError(f"out = {str(out)!r}: directory {str(out.parent)!r} does not exist")
    needed = dict(_PACKAGES) if out.suffix.lower() == ".mp4" else {k: _PACKAGES[k] for k in ("imageio", "PIL")}
    missing = [package for module, package in needed.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(f"a video needs {' and '.join(missing)}: pip install 'genoevo[video]'")


@contextlib.contextmanager
def _writer(out: Path, fps: int) -> Iterator[Callable[[Any], None]]:
    import imageio.v2 as imageio

    if out.suffix.lower() == ".gif":
        writer = imageio.get_writer(out, mode="I", duration=1000 / fps, loop=0)
    else:
        writer = imageio.get_writer(out, fps=fps, macro_block_size=2)
    try:
        yield writer.append_data
    finally:
        writer.close()
