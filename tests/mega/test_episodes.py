import numpy as np
import pytest

from genoevo_mega.episodes import Episodes


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
            episodes.begin(ended.tasks, pool)
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
        episodes.begin(np.arange(3), metaworld_pool)
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
