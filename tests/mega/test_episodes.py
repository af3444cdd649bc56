import numpy as np
import pytest

from genoevo_mega.envs.episodes import Episodes
from genoevo_mega.envs.rollout import RolloutPool
from genoevo_mega.envs.suite import PHASE
from genoevo_mega.envs.transition import Transition
from tests.mega.suites import FaultySuite


def _episodes(pool, length=5, seed=0):
    suite = pool.suite
    return Episodes(len(suite.names), length, suite.action_size, suite.goals, np.random.default_rng(seed))


def _play(episodes, pool, steps, rng):
    seen = []
    for _ in range(steps):
        actions = rng.uniform(-1, 1, (len(episodes.taken), pool.suite.action_size)).astype(np.float32)
        ended = episodes.advance(actions, pool.step(actions))
        seen.append(ended)
        if len(ended.tasks):
            episodes.start(ended.tasks, pool)
    return seen


def test_the_time_limit_and_termination_both_end_an_episode(counting_pool):
    episodes = _episodes(counting_pool)
    episodes.restore(counting_pool)
    ended = _play(episodes, counting_pool, 6, np.random.default_rng(1))
    assert [e.tasks.tolist() for e in ended] == [[], [], [1], [], [0], [1]]


def test_one_successful_step_makes_an_episode_successful(counting_pool):
    episodes = _episodes(counting_pool)
    episodes.restore(counting_pool)
    for actions in (np.ones((2, 2)), np.zeros((2, 2)), np.zeros((2, 2))):
        ended = episodes.advance(actions.astype(np.float32), counting_pool.step(actions))
    assert ended.success.tolist() == [True]


def test_goals_differ_between_tasks_and_episodes(metaworld_pool):
    episodes = _episodes(metaworld_pool)
    drawn = [episodes.goals.copy()]
    episodes.restore(metaworld_pool)
    for _ in range(8):
        episodes.start(np.arange(3), metaworld_pool)
        drawn.append(episodes.goals.copy())
    columns = np.array(drawn).T
    assert not np.array_equal(columns[0], columns[1])
    assert all(len(set(column)) > 1 for column in columns)


@pytest.mark.parametrize("steps", [0, 3, 7])
def test_restored_episodes_continue_exactly_in_the_middle(metaworld_pool, steps):
    rng = np.random.default_rng(4)
    whole = _episodes(metaworld_pool)
    whole.restore(metaworld_pool)
    _play(whole, metaworld_pool, steps, rng)
    saved = {name: array.copy() for name, array in whole.state_arrays().items()}
    state, later = whole._rng.bit_generator.state, rng.bit_generator.state
    _play(whole, metaworld_pool, 6, rng)

    resumed = _episodes(metaworld_pool, seed=9)
    resumed.load_arrays(saved)
    resumed._rng.bit_generator.state = state
    rng.bit_generator.state = later
    resumed.restore(metaworld_pool)
    _play(resumed, metaworld_pool, 6, rng)
    assert np.array_equal(resumed.observations, whole.observations)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(resumed.state_arrays().values(), whole.state_arrays().values(), strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_restoring_survives_a_worker_that_dies(tmp_path, workers):
    suite = FaultySuite("death", step=3, once=str(tmp_path / "happened"))
    with RolloutPool(suite, workers) as pool:
        episodes = _episodes(pool)
        episodes.goals[:], episodes.taken[:] = 0, [4, 4, 2, 0]
        episodes.restore(pool)
        assert episodes.observations[:, 3].tolist() == [4, 4, 2, 0]
        assert len(pool.take_faults()) == 1
        assert not pool.lost.any()


def test_a_lost_episode_ends_nothing_and_counts_no_step():
    with RolloutPool(FaultySuite("exception", step=2), workers=1) as pool:
        episodes = _episodes(pool, length=2)
        episodes.goals[:] = 0
        episodes.restore(pool)
        actions = np.ones((4, 2), np.float32)
        for _ in range(2):
            ended = episodes.advance(actions, pool.step(actions))
        assert ended.tasks.tolist() == [0, 2, 3]
        assert episodes.taken.tolist() == [2, 1, 2, 2]


@pytest.mark.parametrize("goal", [-1, 5, PHASE - 1, PHASE + 5, 2 * PHASE])
def test_goals_that_the_suite_does_not_have_are_refused(counting_pool, goal):
    episodes = _episodes(counting_pool)
    arrays = {**episodes.state_arrays(), "goals": np.array([0, goal])}
    with pytest.raises(ValueError, match="goals must be from 0 to 4"):
        episodes.load_arrays(arrays)


# ------------------------------------------------------------------------------------------------------ under way


def _sent(episodes, *active):
    for each in active:
        episodes.sent(np.full((2, 2), 0.5, np.float32), np.array(each), np.array([3, 4]))


def test_a_task_takes_no_more_steps_than_its_time_limit(counting_pool):
    episodes = _episodes(counting_pool, length=5)
    episodes.taken[:] = 3, 2
    _sent(episodes, [True, True], [True, True])
    assert episodes.unfinished.tolist() == [False, True]


def test_an_episode_runs_from_the_step_that_was_sent_first(counting_pool):
    episodes = _episodes(counting_pool)
    episodes.taken[:] = 0
    _sent(episodes, [False, True])
    assert episodes.running.tolist() == [False, True]


def test_a_new_episode_makes_void_what_is_under_way(counting_pool):
    episodes = _episodes(counting_pool)
    episodes.restore(counting_pool)
    _sent(episodes, [True, True])
    episodes.start(np.array([1]), counting_pool)
    assert episodes.under_way.counts.tolist() == [1, 0]
    (sent,) = episodes.under_way
    flags = np.zeros(2, np.bool_)
    result = sent.result(Transition(np.ones((2, 4), np.float32), np.ones(2, np.float32), flags, flags, flags))
    assert result.lost.tolist() == [False, True]
    assert result.observations.tolist() == [[1] * 4, [0] * 4]


def test_steps_under_way_are_saved_and_restored(counting_pool):
    episodes = _episodes(counting_pool)
    assert not any("under_way" in name for name in episodes.state_arrays())
    _sent(episodes, [True, False], [True, True])
    again = _episodes(counting_pool, seed=9)
    again.load_arrays(episodes.state_arrays())
    assert len(again.under_way) == 2
    assert all(
        np.array_equal(a, b) for a, b in zip(*(e.state_arrays().values() for e in (episodes, again)), strict=True)
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("actions", np.zeros((2, 2, 3), np.float32), r"under_way/actions is float32\(2, 2, 3\)"),
        ("actions", np.full((2, 2, 2), np.nan, np.float32), "under_way/actions is not finite"),
        ("active", np.ones((2, 2), np.int64), "under_way/active is int64"),
        ("active", np.array(True), "of 1 to 8 steps"),
        ("active", np.ones((9, 2), np.bool_), "of 1 to 8 steps"),
        ("active", np.ones((0, 2), np.bool_), "of 1 to 8 steps"),
        ("active", None, "of 1 to 8 steps"),
        ("genotypes", np.array([[0, 1], [-1, 0]]), "under_way/genotypes must be from 0 to 2147483647"),
        ("genotypes", np.array([[0, 1], [2**31, 0]]), "under_way/genotypes must be from 0 to 2147483647"),
    ],
)
def test_steps_under_way_that_do_not_fit_are_refused(counting_pool, name, value, message):
    episodes = _episodes(counting_pool)
    _sent(episodes, [True, True], [True, True])
    arrays = {**episodes.state_arrays(), f"under_way/{name}": value}
    with pytest.raises(ValueError, match=message):
        episodes.load_arrays({key: array for key, array in arrays.items() if array is not None})


def test_more_steps_under_way_than_the_episode_has_left_are_refused(counting_pool):
    episodes = _episodes(counting_pool, length=5)
    episodes.taken[:] = 3, 2
    _sent(episodes, [True] * 2, [True] * 2, [True] * 2)
    with pytest.raises(ValueError, match=r"under_way/active: \[3, 3\] steps exceed the \[2, 3\] that are left"):
        episodes.load_arrays(episodes.state_arrays())
