import math

import gymnasium
import numpy as np
import pytest

from genoevo_mega.config.run import build_config, preset
from genoevo_mega.envs.registry import make_suite
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.suite import PHASE
from genoevo_mega.envs.synthetic import SUITES, SyntheticSuite, SyntheticTask, synthetic_names
from genoevo_mega.envs.synthetic_families import FAMILIES, SKIP
from genoevo_mega.experiments import runs
from genoevo_runs.errors import ConfigError


def _actions(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 2)).astype(np.float32)


def _episode(task, goal, actions, *, evaluation=False):
    first = task.reset(goal, evaluation=evaluation)
    return [first.tolist(), *([*o.tolist(), r, t, s] for o, r, t, s in map(task.step, actions))]


def _gymnasium(name, state, **arguments):
    environment = gymnasium.make(name, **arguments).unwrapped
    environment.reset(seed=0)
    environment.state = np.array(state)
    return environment


def _same_course(environment, family, state, actions, to_gymnasium):
    for first, second in actions.tolist():
        state = FAMILIES[family].advance(state, first, second, 1.0)
        for _ in range(SKIP):
            environment.step(to_gymnasium(first))
        assert np.allclose(environment.state, state, rtol=0, atol=1e-12)


def test_pendulum_moves_as_gymnasiums():
    start = (3.0, 0.5)
    environment = _gymnasium("Pendulum-v1", start)
    _same_course(environment, "pendulum", start, _actions(100), lambda a: np.array([2.0 * a]))


def test_pendulum_bounds_its_speed_as_gymnasiums_does():
    start = (math.pi / 2, 7.9)
    environment = _gymnasium("Pendulum-v1", start)
    _same_course(environment, "pendulum", start, np.ones((1, 2)), lambda a: np.array([2.0 * a]))
    assert environment.state[1] == 8.0


def test_the_pendulums_gravity_is_gymnasiums_g():
    environment = _gymnasium("Pendulum-v1", (1.0, 0.0), g=15.0)
    state = FAMILIES["pendulum"].advance((1.0, 0.0), 0.3, 0.0, 1.5)
    for _ in range(SKIP):
        environment.step(np.array([0.6]))
    assert np.allclose(environment.state, state, rtol=0, atol=1e-12)


def test_car_moves_as_gymnasiums_and_stops_at_its_wall():
    start, pushed = (-0.5, 0.0), np.concatenate([np.ones((15, 2)), -np.ones((30, 2)), _actions(60)])
    environment = _gymnasium("MountainCarContinuous-v0", start)
    # gymnasium keeps its state in float32, ours is in float64.
    state, wall = start, False
    for first, second in pushed.tolist():
        environment.state = np.array(state)
        for _ in range(SKIP):
            environment.step(np.array([first]))
            environment.state = environment.state.astype(np.float64)
        state = FAMILIES["car"].advance(state, first, second, 1.0)
        assert np.allclose(environment.state, state, rtol=0, atol=1e-6)
        wall |= state == (-1.2, 0.0)
    assert wall


def test_cartpole_moves_as_gymnasiums_under_its_two_forces():
    start = (0.1, -0.2, 0.02, 0.1)
    environment = _gymnasium("CartPole-v1", start)
    signs = np.array([[1.0, 0], [-1.0, 0], [-1.0, 0], [1.0, 0], [1.0, 0], [-1.0, 0]])
    _same_course(environment, "cartpole", start, signs, lambda a: int(a > 0))


def test_a_fallen_pole_lies_where_gymnasium_would_end_the_episode():
    environment, state = _gymnasium("CartPole-v1", (0.0, 0.0, 0.0, 0.0)), (0.0, 0.0, 0.0, 0.0)
    ended = False
    while not ended:
        ended = environment.step(1)[2]
    for _ in range(40):
        state = FAMILIES["cartpole"].advance(state, 1.0, 0.0, 1.0)
    assert np.allclose(environment.state, state, rtol=0, atol=1e-12)
    assert FAMILIES["cartpole"].closeness(state, (0.0, 0.0)) == 0


def test_the_point_comes_to_rest_where_push_and_drag_balance():
    state = (0.0, 0.0, 0.0, 0.0)
    for _ in range(200):
        state = FAMILIES["point"].advance(state, 0.2, 0.2, 1.0)
    assert state[2:] == pytest.approx((0.8 / 3, 0.0))


def test_the_reachers_tip_is_where_its_joints_put_it():
    assert FAMILIES["reacher"].closeness((math.pi / 2, -math.pi / 2, 0.0, 0.0), (0.5, 0.5)) == pytest.approx(1.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_episode_depends_on_goal_and_actions_alone(family):
    name, actions = f"{family}-2goals", _actions(60)
    used = SyntheticTask(name, 3)
    _episode(used, 4, actions[::-1])
    assert _episode(used, 7, actions) == _episode(SyntheticTask(name, 3), 7, actions)


def test_evaluation_goals_and_other_seeds_differ_from_training_goals():
    def first(seed, **of):
        return [tuple(SyntheticTask("reacher", seed).reset(goal, **of)) for goal in range(20)]

    training = set(first(1, evaluation=False))
    assert len(training) == 20
    assert not training & set(first(1, evaluation=True))
    assert not training & set(first(2, evaluation=False))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_task_uses_the_number_of_action_dimensions_that_its_suite_names(family):
    [used] = make_suite(build_config(preset("synthetic"), {"suite": family})).action_dimensions
    ends = []
    for second in (-1.0, 1.0):
        task = SyntheticTask(family, 3)
        task.reset(0, evaluation=False)
        ends.append([task.step(np.array([0.3, second], np.float32))[0].tolist() for _ in range(5)])
    assert (ends[0] == ends[1]) == (used == 1)


def test_reversed_actuators_turn_every_action_around():
    plain, flipped = SyntheticTask("pendulum", 1), SyntheticTask("pendulum-flip", 1)
    for task in (plain, flipped):
        task.reset(0, evaluation=False)
    flipped.state = plain.state
    flipped.goals = plain.goals
    for action in _actions(20):
        assert plain.step(action)[0].tolist() == flipped.step(-action)[0].tolist()


def test_a_changing_task_has_its_actuators_reversed_after_the_change():
    task, actions = SyntheticTask("point-change", 1), _actions(20)
    before = _episode(task, 3, actions)
    assert _episode(task, PHASE + 3, -actions) == before
    assert _episode(task, PHASE + 3, actions) != before


def _carried(task):
    """Put the mass onto its present sub-goal, at rest against gravity."""
    task.state = (*task.goals[min(task._done, task.sub_goals - 1)], 0.0, 0.0)
    return task.step(np.array([0.0, 0.2], np.float32))


def test_sub_goals_are_reached_one_after_the_other_and_the_last_is_success():
    task = SyntheticTask("point-3goals", 1)
    task.reset(0, evaluation=False)
    hold = FAMILIES["point"].hold
    seen = [_carried(task) for _ in range(3 * hold)]
    assert [success for *_, success in seen] == [False] * (3 * hold - 1) + [True]
    rewards = [reward for _, reward, *_ in seen]
    assert rewards[-1] == 1.0
    assert 1 / 3 <= rewards[hold - 1] < 2 / 3 <= rewards[2 * hold - 1] < 1
    # What follows cannot undo it.
    assert task.step(np.ones(2, np.float32))[1:] == (1.0, False, True)


def test_a_goal_that_is_left_must_be_held_again():
    task = SyntheticTask("point", 1)
    task.reset(0, evaluation=False)
    _carried(task)
    task.state = (1.5, 1.5, 0.0, 0.0)
    assert not task.step(np.zeros(2, np.float32))[3]
    assert not _carried(task)[3]
    assert _carried(task)[3]


@pytest.mark.parametrize("family", FAMILIES)
def test_rewards_are_between_0_and_1_and_observations_finite(family):
    task = SyntheticTask(f"{family}-g150-2goals", 1)
    for goal in range(5):
        episode = np.array(_episode(task, goal, _actions(60, goal))[1:], float)
        assert np.isfinite(episode).all()
        assert 0 <= episode[:, 9].min() <= episode[:, 9].max() <= 1
        assert np.abs(episode[:, :9]).max() < 12


def test_more_gravity_pulls_the_reacher_down_more():
    low, high = (FAMILIES["reacher"].advance((0.0, 0.0, 0.0, 0.0), 0, 0, gravity)[2] for gravity in (0.5, 1.5))
    assert high == pytest.approx(3 * low)
    assert low < 0


@pytest.mark.parametrize(
    ("suite", "count"), [("synthetic", 10), ("synthetic-50", 50), ("synthetic-200", 200), ("car, point-flip", 2)]
)
def test_suites_by_name(suite, count):
    names = synthetic_names(suite)
    assert len(set(names)) == count
    assert all(SyntheticTask(name, 1) for name in names)


def test_half_of_the_conflicting_tasks_are_the_other_half_reversed():
    names = set(SUITES["synthetic-conflict"])
    assert {name for name in names if not name.endswith("-flip")} == set(FAMILIES)
    assert {f"{name}-flip" for name in FAMILIES} <= names


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ("synthetic-20", "did you mean synthetic-200"),
        ("point,pendulum-flap", "pendulum-flip"),
        ("point,point", "once"),
        ("point-0goals", "unknown task 'point-0goals'"),
    ],
)
def test_an_unknown_or_repeated_task_is_named(suite, message):
    with pytest.raises(ConfigError, match=message):
        synthetic_names(suite)


@pytest.mark.parametrize(
    ("suite", "change_at"),
    [("synthetic", 100), ("synthetic-change", None), ("mt10", 100), ("gymnasium:Pendulum-v1", 100)],
)
def test_a_change_needs_a_changing_suite_and_a_changing_suite_a_change(suite, change_at):
    with pytest.raises(ConfigError, match="change_at"):
        make_suite(build_config({"suite": suite, "environment": {"change_at": change_at}}))


def test_workers_step_synthetic_tasks_as_one_process_does():
    suite, actions = SyntheticSuite(("car", "reacher-flip"), 1), np.stack([_actions(15, 1), _actions(15, 2)], axis=1)
    alone = [_episode(suite.make(task), 2, actions[:, task]) for task in range(2)]
    with RolloutPool(suite, 2) as pool:
        pool.reset(np.full(2, 2))
        for step, given in enumerate(actions, 1):
            seen = pool.step(given)
            for task in range(2):
                *observation, reward, _, success = alone[task][step]
                assert np.allclose(seen.observations[task], observation, rtol=1e-6)
                assert seen.rewards[task] == np.float32(reward)
                assert seen.success[task] == success


def test_the_preset_fits_its_suite():
    config = build_config(preset("synthetic"))
    assert len(make_suite(config).names) == 10


def test_episodes_that_begin_after_the_runs_change_are_of_the_changed_task(tmp_path):
    settings = {"suite": "point-change,car", "steps": 200, "environment": {"change_at": 100}}
    config = build_config(preset("smoke"), settings, {"evaluation": {"at_end": False}})
    trainer = runs.create(tmp_path / "run", config, ["test"], lambda status: None)
    trainer.run(80)
    assert (trainer.state.episodes.goals < PHASE).all()
    trainer.run(200)
    assert (trainer.state.episodes.goals >= PHASE).all()


def test_a_run_goes_on_after_its_change_as_if_it_had_not_stopped(tmp_path):
    settings = {"suite": "point-change,car", "steps": 200, "environment": {"change_at": 100}}
    config = build_config(preset("smoke"), settings, {"evaluation": {"at_end": False}})
    digests = []
    for name, stops in (("whole", [200]), ("stopped", [166, 200])):
        trainer = runs.create(tmp_path / name, config, ["test"], lambda status: None)
        for steps in stops:
            trainer.run(steps)
            trainer = runs.resume(tmp_path / name)
            assert (trainer.state.episodes.goals >= PHASE).all()
            assert trainer.state.steps == steps
        digests.append(runs.info(tmp_path / name)["digest"])
    assert digests[0] == digests[1]
