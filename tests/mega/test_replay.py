import numpy as np
import pytest
import torch

from genoevo_mega.agents.replay import Replay
from genoevo_mega.envs.transition import Transition


def _fill(replay, steps, lengths=(5, 3), seed=0):
    """Episodes whose observations are unique numbers; the transitions of each task, oldest first."""
    rng = np.random.default_rng(seed)
    tasks = len(lengths)
    number = iter(range(10**6))
    now = np.array([[next(number)] for _ in range(tasks)], np.float32)
    log = [[] for _ in range(tasks)]
    for step in range(1, steps + 1):
        after = np.array([[next(number)] for _ in range(tasks)], np.float32)
        ended = np.array([step % length == 0 for length in lengths])
        actions = rng.uniform(-1, 1, (tasks, 1)).astype(np.float32)
        terminated = ended & (np.arange(tasks) == 1)
        rewards = rng.random(tasks).astype(np.float32)
        genotypes = np.full(tasks, step)
        replay.add(
            now,
            actions,
            Transition(after, rewards, terminated, ended, lost=np.zeros(tasks, np.bool_)),
            ended,
            genotypes,
        )
        for task in range(tasks):
            discount = 0.0 if terminated[task] else 0.5
            row = (now[task, 0], actions[task, 0], rewards[task], after[task, 0], discount, step)
            log[task].append(tuple(map(float, row)))
        fresh = np.array([[next(number)] for _ in range(tasks)], np.float32)
        now = np.where(ended[:, None], fresh, after)
    return log


def _rows(batch, task):
    columns = [column[task].reshape(len(column[task]), -1)[:, 0].tolist() for column in batch]
    return set(zip(*columns, strict=True))


@pytest.mark.parametrize("steps", [1, 4, 20, 21, 60, 203])
def test_samples_are_the_newest_transitions_and_nothing_else(steps):
    replay = Replay(2, 20, 1, 1, episode_length=3)
    log = _fill(replay, steps)
    batch = replay.sample(2000, np.random.default_rng(1), gamma=0.5)
    for task in range(2):
        sampled = _rows(batch, task)
        assert sampled <= set(log[task])
        assert sampled >= set(log[task][-20:])


def test_the_next_observation_at_a_time_limit_is_the_episodes_last_and_values_are_bootstrapped():
    replay = Replay(2, 50, 1, 1, episode_length=3)
    log = _fill(replay, 10)
    batch = replay.sample(500, np.random.default_rng(0), gamma=0.5)
    limit = log[0][4]
    assert limit in _rows(batch, 0)
    assert limit[4] == 0.5


def _step(replay, numbers, lost=(False,), rewards=0.0):
    now, after = (np.array([[number]] * len(lost), np.float32) for number in numbers)
    flags = np.zeros(len(lost), np.bool_)
    transition = Transition(after, np.full(len(lost), rewards), flags, flags, np.array(lost))
    replay.add(now, now, transition, flags, np.zeros(len(lost), np.int64))


def test_a_lost_transition_is_not_stored_and_those_of_other_tasks_are():
    replay = Replay(2, 20, 1, 1, episode_length=5)
    _step(replay, (0, 1), lost=(False, False))
    _step(replay, (1, 99), lost=(True, False))
    assert len(replay) == 3
    assert {99.0} == set(
        replay.sample(100, np.random.default_rng(0), gamma=0.5).next_observations[1, :, 0].tolist()
    ) - {1.0}
    assert {1.0} == set(replay.sample(100, np.random.default_rng(0), gamma=0.5).next_observations[0, :, 0].tolist())


@pytest.mark.parametrize("wrapped", [0, 30])
def test_a_cut_episode_keeps_its_last_observation_and_values_are_bootstrapped_from_it(wrapped):
    replay = Replay(1, 10, 1, 1, episode_length=5)
    for number in range(wrapped):
        _step(replay, (1000 + number, 1001 + number))
    for number in range(3):
        _step(replay, (number, number + 1), rewards=1.0)
    _step(replay, (3, 99), lost=(True,))
    replay.cut(np.array([0]))
    for number in range(500, 504):
        _step(replay, (number, number + 1))
    batch = replay.sample(2000, np.random.default_rng(0), gamma=0.5, steps=3)
    ahead = dict(zip(batch.observations[0, :, 0].tolist(), batch.next_observations[0, :, 0].tolist(), strict=True))
    assert {number: ahead[number] for number in (0, 1, 2, 500, 501)} == {0: 3, 1: 3, 2: 3, 500: 503, 501: 504}
    assert 3 not in ahead
    assert 99 not in ahead.values()
    lengths = dict(zip(batch.observations[0, :, 0].tolist(), batch.discounts[0].tolist(), strict=True))
    assert (lengths[0], lengths[1], lengths[2]) == (0.125, 0.25, 0.5)


def test_termination_is_kept():
    replay = Replay(2, 50, 1, 1, episode_length=3)
    _fill(replay, 9)
    assert replay.sample(300, np.random.default_rng(0), gamma=0.5).discounts[1].min() == 0


@pytest.mark.parametrize("stored", [40, 61, 203])  # the ring not yet full, and overwritten
def test_n_steps_are_summed_and_stop_where_the_episode_ends(stored):
    replay = Replay(2, 50, 1, 1, episode_length=3)
    log = _fill(replay, stored, lengths=(5, 3))
    batch = replay.sample(500, np.random.default_rng(0), gamma=0.9, steps=4)
    for task, length in enumerate((5, 3)):
        for start, reward, after, discount in zip(
            batch.genotypes[task],
            batch.rewards[task],
            batch.next_observations[task, :, 0],
            batch.discounts[task],
            strict=True,
        ):
            first = int(start) - 1  # steps are numbered from 1
            episode_end = (first // length + 1) * length
            rows = log[task][first : min(first + 4, episode_end, stored)]
            assert float(reward) == pytest.approx(sum(0.9**i * row[2] for i, row in enumerate(rows)), rel=1e-5)
            assert float(after) == rows[-1][3]
            terminated = rows[-1][4] == 0
            assert float(discount) == pytest.approx(0 if terminated else 0.9 ** len(rows))


@pytest.mark.parametrize("stored", [10, 12, 61])
@pytest.mark.parametrize("newest", [1, 3])
def test_the_newest_transitions_can_be_left_out_of_starts_and_of_n_steps(stored, newest):
    replay, before = Replay(2, 50, 1, 1, episode_length=3), Replay(2, 50, 1, 1, episode_length=3)
    _fill(replay, stored)
    _fill(before, stored - newest)
    held = len(replay)
    batch = replay.sample(3000, np.random.default_rng(0), gamma=0.9, steps=3, newest=newest)
    expected = before.sample(3000, np.random.default_rng(1), gamma=0.9, steps=3)
    for task in range(2):
        # The ring may have overwritten its oldest rows since.
        seen, then = (
            {row for row in _rows(one, task) if row[-1] > newest + 12 * (stored > 50)} for one in (batch, expected)
        )
        assert seen == then
    assert len(replay) == held


def test_sampling_is_uniform():
    replay = Replay(2, 20, 1, 1, episode_length=3)
    log = _fill(replay, 20)
    drawn = replay.sample(40_000, np.random.default_rng(2), gamma=0.5).genotypes[0].numpy()
    counts = np.bincount(drawn, minlength=21)[1:]
    assert len(log[0]) == len(counts) == 20
    assert (np.abs(counts - 2000) < 6 * np.sqrt(2000)).all()


def test_a_million_transitions_of_ten_tasks_take_less_than_230_megabytes():
    replay = Replay(10, 100_000, 39, 4, episode_length=200)
    assert replay.nbytes < 230e6


# ------------------------------------------------------------------------------------------------ in a checkpoint


def _filled(replay, steps, lengths=(7, 5), start=0):
    for step in range(start, start + steps):
        now = np.full((2, 3), step, np.float32) + np.array([[0], [0.5]], np.float32)
        ended = np.array([step % length == length - 1 for length in lengths])
        none = np.zeros(2, np.bool_)
        after = Transition(now + 0.25, np.full(2, step, np.float32), ended & [False, True], ended, lost=none)
        replay.add(now, now[:, :2], after, ended, np.full(2, step))
    return replay


@pytest.mark.parametrize("steps", [0, 1, 5, 23, 24, 60])
@pytest.mark.parametrize("between", [1, 7, 200])
def test_rows_in_parts_make_the_replay_they_were_taken_of(steps, between):
    replay = Replay(2, 20, 3, 2, 7)
    parts, taken = [], replay.written.copy()
    for step in range(steps):
        _filled(replay, 1, start=step)
        if step % between == 0:
            first = np.maximum(taken, replay.oldest)
            taken = replay.written.copy()
            parts.append((first, taken, replay.rows(first, taken)))
    first, last = np.maximum(taken, replay.oldest), replay.written.copy()
    parts.append((first, last, replay.rows(first, last)))
    again = Replay(2, 20, 3, 2, 7)
    for part in parts:
        again.load_rows(*part)
    again.load_arrays(replay.state_arrays())
    for name, ring in replay._rings().items():
        assert np.array_equal(getattr(again, name)[replay.valid], ring[replay.valid]), name
    assert np.array_equal(again.valid, replay.valid)
    for other in (replay, again):
        _filled(other, 9, start=steps)
    batches = [other.sample(32, np.random.default_rng(0), gamma=0.9, steps=3) for other in (replay, again)]
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"written": np.array([5, -1])}, "written"),
        ({"written": np.array([5.0, 6.0])}, "written"),
        ({"filled": np.array([9, 99])}, "filled"),
        ({"begun/rewards": np.zeros(3, np.float32)}, "rewards"),
        ({"begun/actions": np.zeros((2, 2), np.int32)}, "actions"),
    ],
)
def test_a_replay_that_cannot_be_is_refused(change, message):
    replay = _filled(Replay(2, 20, 3, 2, 7), 9)
    with pytest.raises(ValueError, match=message):
        replay.load_arrays({**replay.state_arrays(), **change})


def test_a_replay_without_a_transition_to_draw_is_refused():
    replay = _filled(Replay(2, 20, 3, 2, 7), 9)
    arrays = replay.state_arrays()
    replay.valid[:] = False
    with pytest.raises(ValueError, match="marks no transition"):
        replay.load_arrays({**arrays, "begun/valid": np.zeros(2, np.bool_)})
