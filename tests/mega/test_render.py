import os
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import imageio.v2 as imageio
import imageio_ffmpeg
import numpy as np
import pytest

from genoevo_cli.main import cli
from genoevo_mega.networks.module_graph import ModuleGraph
from genoevo_mega.policies import film as render
from genoevo_mega.policies.film import Film, choose_backend, render_task
from genoevo_mega.policies.graph_panel import GraphPanel, beside
from genoevo_runs.errors import UserError

GRAPH = ModuleGraph({1: {0: 1.0}, 2: {0: 0.5, 1: 0.5}}, {0: 0.2, 1: 0.3, 2: 0.5})


def frames_of(film):
    """All frames, (n, 120, 310, 3). imageio's own reader leaves ffmpeg's pipes to the garbage collector."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", film, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(pixels, np.uint8).reshape(-1, 120, 160 + 150, 3)


class Drawn:
    """Draws the step as a grey level and succeeds at step 5."""

    def reset(self, goal, *, evaluation):
        assert evaluation
        self.steps, self.goal = 0, goal
        return np.full(39, goal, float)

    def step(self, action):
        self.steps += 1
        return np.full(39, self.goal, float), 1.0, self.goal == 1 and self.steps == 3, self.steps == 5

    def render(self):
        return np.full((60, 80, 3), 10 * self.steps, np.uint8)


@pytest.fixture
def trained(untrained, monkeypatch):
    trained = untrained("smoke", 3)
    monkeypatch.setattr(render, "_environment", lambda trained, task: Drawn())
    return trained


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_a_film_shows_the_simulator_and_the_graph_beside_it(trained, tmp_path, suffix):
    out = tmp_path / f"film{suffix}"
    shown = render_task(trained, "reach-v3", out, Film(episodes=1, every=2, height=120))
    frames = frames_of(out)
    assert (len(shown), shown[0].success, shown[0].steps) == (1, True, 20)
    assert len(frames) == 20 / 2 + 1
    levels = [float(frame[40:80, 40:120].mean()) for frame in frames]
    assert levels == sorted(levels)
    assert levels[-1] > 150
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("fixed", ["mtsac"], indirect=True)
def test_without_genotypes_a_film_shows_the_simulator_alone(fixed, tmp_path, monkeypatch):
    monkeypatch.setattr(render, "_environment", lambda trained, task: Drawn())
    [shown] = render_task(fixed, "reach-v3", tmp_path / "film.gif", Film(episodes=1, every=2, height=120))
    frames = list(imageio.get_reader(tmp_path / "film.gif"))
    assert {frame.shape[:2] for frame in frames} == {(120, 160)}
    assert (len(frames), shown.steps, shown.success) == (11, 20, True)


def test_an_episode_that_terminates_ends_there(trained, tmp_path):
    shown = render_task(trained, "reach-v3", tmp_path / "film.gif", Film(episodes=2, height=120))
    assert [(one.goal, one.steps, one.success, one.total_reward) for one in shown] == [
        (0, 20, True, 20.0),
        (1, 3, False, 3.0),
    ]


def test_progress_counts_the_steps_of_all_episodes(trained, tmp_path):
    seen = []
    render_task(trained, "reach-v3", tmp_path / "film.gif", Film(episodes=2, height=120), seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 2 * trained.config.environment.episode_length


def test_a_node_is_brighter_the_more_it_is_lit():
    panel = GraphPanel(GRAPH, "task", 240)
    dark, lit = (panel.draw({0: 0.0, 1: 0.0, 2: light}, "", success=False) for light in (0.0, 1.0))
    changed = np.argwhere((dark != lit).any(axis=-1))
    assert lit[tuple(changed.T)].sum() > dark[tuple(changed.T)].sum()
    # Module 2 stands in the right half: what it lights is itself and its line to the output.
    assert changed[:, 1].min() > panel.size[0] * 0.5


def test_sides_are_even_as_video_formats_want_them():
    panel = np.zeros((121, 151, 3), np.uint8)
    assert beside(np.zeros((100, 133, 3), np.uint8), panel).shape[0] % 2 == 0
    assert beside(np.zeros((100, 133, 3), np.uint8), panel).shape[1] % 2 == 0


@pytest.mark.parametrize(
    ("task", "out", "message"),
    [
        ("reech-v3", "film.gif", "did you mean reach-v3"),
        ("all", "film.gif", "a video shows one of"),
        ("reach-v3", "film.avi", r"must end in \.mp4 or \.gif"),
        ("reach-v3", "there.gif", "exists; choose another"),
        ("reach-v3", "no/film.gif", "no' does not exist"),
    ],
)
def test_what_cannot_be_filmed_is_named_and_nothing_written(trained, tmp_path, task, out, message):
    (tmp_path / "there.gif").write_text("mine")
    with pytest.raises(UserError, match=message):
        render_task(trained, task, tmp_path / out, Film(1))
    assert [path.name for path in tmp_path.iterdir()] == ["there.gif"]


def test_an_environment_that_cannot_draw_is_named_and_nothing_is_left(trained, tmp_path, monkeypatch):
    def broken(self):
        raise ImportError("no\npygame")

    monkeypatch.setattr(Drawn, "render", broken)
    with pytest.raises(UserError, match="cannot be rendered: ImportError: no pygame"):
        render_task(trained, "reach-v3", tmp_path / "film.gif", Film(1))
    assert not list(tmp_path.iterdir())


def test_a_way_of_drawing_that_does_not_work_is_named_in_one_line(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "paint")
    with pytest.raises(UserError, match="MUJOCO_GL=paint does not work here") as caught:
        choose_backend()
    assert "\n" not in str(caught.value)


def test_without_egl_and_osmesa_the_packages_are_named(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    failed = render.subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(render.subprocess, "run", lambda *arguments, **options: failed)
    with pytest.raises(UserError, match="apt-get install libegl1 or libosmesa6"):
        choose_backend()
    assert "MUJOCO_GL" not in os.environ


def _as_other_suite(trained, environment):
    """The trained run of a suite that is not Meta-World's, whose tasks are *environment*."""
    suite = SimpleNamespace(**{name: getattr(trained.suite, name) for name in ("names", "observation_size")})
    suite.make = lambda task: environment()
    return replace(trained, suite=suite)


@pytest.fixture
def tried(monkeypatch):
    """The backends that were tried in a process of their own, of which OSMesa works."""
    seen = []

    def run(command, env, **options):
        seen.append(env["MUJOCO_GL"])
        return render.subprocess.CompletedProcess(command, int(env["MUJOCO_GL"] != "osmesa"))

    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setattr(render.subprocess, "run", run)
    return seen


def test_a_backend_is_chosen_for_every_suite_before_its_environment_is_made(untrained, tried):
    chosen = []

    class Environment(Drawn):
        def __init__(self):
            chosen.append(os.environ.get("MUJOCO_GL"))

    render._environment(_as_other_suite(untrained("smoke", 3), Environment), 0)
    assert (tried, chosen) == (["egl", "osmesa"], ["osmesa"])


def test_the_command_chooses_a_backend_before_the_suite_is_imported(monkeypatch, tried, tmp_path):
    def of_run(*given):
        raise UserError(f"imported with {os.environ.get('MUJOCO_GL')}")

    monkeypatch.setattr("genoevo_mega.policies.policy.Trained.of_run", of_run)
    with pytest.raises(UserError, match="imported with osmesa"):
        cli.main(
            ["mega", "render", str(tmp_path), "--task", "a", "--out", str(tmp_path / "a.gif")], standalone_mode=False
        )


def test_a_suite_that_draws_with_something_else_needs_no_backend(untrained, monkeypatch, tried):
    monkeypatch.setenv("MUJOCO_GL", "paint")
    assert render._environment(_as_other_suite(untrained("smoke", 3), Drawn), 0)


def test_a_mujoco_suite_that_cannot_be_drawn_says_which_packages_are_missing(trained, tmp_path, monkeypatch):
    def broken(self):
        raise RuntimeError("an OpenGL platform library has not been loaded")

    monkeypatch.delenv("MUJOCO_GL", raising=False)
    failed = render.subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(render.subprocess, "run", lambda *arguments, **options: failed)
    monkeypatch.setattr(Drawn, "render", broken)
    monkeypatch.setitem(sys.modules, "mujoco", SimpleNamespace())
    with pytest.raises(UserError, match=r"has not been loaded; rendering without a screen: neither .* libegl1"):
        render_task(trained, "reach-v3", tmp_path / "film.gif", Film(1))


def test_without_imageio_the_extra_is_named(trained, tmp_path, monkeypatch):
    found = render.importlib.util.find_spec
    monkeypatch.setattr(render.importlib.util, "find_spec", lambda name: None if "imageio" in name else found(name))
    with pytest.raises(UserError, match=re.escape("needs imageio and imageio-ffmpeg: pip install 'genoevo[video]'")):
        render_task(trained, "reach-v3", tmp_path / "film.mp4", Film(1))


@pytest.mark.slow
def test_metaworld_is_filmed_without_a_screen(untrained, tmp_path, monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    trained = untrained("smoke", 3)
    [shown] = render_task(trained, "drawer-close-v3", tmp_path / "film.gif", Film(1, every=10, height=120))
    frames = [frame[..., :3] for frame in imageio.get_reader(tmp_path / "film.gif")]
    assert shown.steps == 20
    picture = frames[0][:, :160]
    red = (picture[..., 0] > 2 * picture[..., 1].astype(int)).mean()  # the arm
    assert red > 0.01
