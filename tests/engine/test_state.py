"""States come back from their files as they were, and what could not come back is not written."""

import resource
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from genoevo import Population
from genoevo.state import generator_from_state, generator_state, load, population_from_state, population_state, save

# NUL ends the name of a zip entry.
keys = st.text(st.characters(exclude_characters="\0"), max_size=5) | st.sampled_from(
    ["json", "file", "a.b", "a", "b"]
)
arrays = hnp.arrays(
    st.sampled_from([np.uint64, np.int64, np.float64, np.float32, np.uint8, np.bool_, "<U3"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | arrays
nests = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


@contextmanager
def files_of_at_most(size):
    """No file of this process may grow past *size* bytes: what a full disk does to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@given(state=st.dictionaries(keys, nests, max_size=4))
def test_every_nest_of_dicts_lists_arrays_and_json_values_survives_the_round_trip(tmp_path_factory, frozen, state):
    file = tmp_path_factory.getbasetemp() / "nest"
    save(file, state)
    assert frozen(load(file)) == frozen(state)


@pytest.mark.parametrize("value", [2**200, -(2**64), float("nan"), float("inf"), -0.0, 1e-320, "ü\n", True, None])
def test_a_json_value_survives_the_round_trip_exactly(path, value):
    save(path, {"value": [value]})
    assert repr(load(path)) == repr({"value": [value]})


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.float64(0.1), 0.1), (np.int64(7), 7), (np.bool_(True), True), ((1, (2, 3)), [1, [2, 3]])],
)
def test_numpy_scalars_come_back_as_numbers_and_tuples_as_lists(path, value, expected):
    save(path, {"value": value})
    found = load(path)["value"]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": {1: 2, "1": 3}}, "the keys of a must be text, got 1"),
        ({"a": [{None: 1}]}, "the keys of a.0 must be text, got None"),
        ({"a": {"b": [1, 1j]}}, "a.b.1 is 1j: a complex is not JSON serializable"),
        ({"a": np.datetime64("2020")}, "a is datetime.date.*: a date is not JSON serializable"),
    ],
)
def test_what_could_not_be_read_back_is_refused_by_name(path, state, message):
    with pytest.raises(TypeError, match=message):
        save(path, state)
    assert not path.exists()


def test_a_key_with_a_nul_survives_the_round_trip(path):
    save(path, {"a\0b": np.arange(3), "a\0c": np.arange(2)})
    assert {key: value.tolist() for key, value in load(path).items()} == {"a\0b": [0, 1, 2], "a\0c": [0, 1]}


def test_keys_that_look_like_paths_do_not_collide(path, frozen):
    state = {"a.b": np.zeros(1), "a": {"b": np.ones(2)}, "c": [np.zeros(3)], "c.0": np.ones(4)}
    save(path, state)
    assert frozen(load(path)) == frozen(state)


@pytest.mark.parametrize("key", ["json", "file", "allow_pickle", "args"])
def test_no_key_is_reserved_by_the_file_format(path, key):
    save(path, {key: np.arange(3)})
    assert load(path)[key].tolist() == [0, 1, 2]


@pytest.mark.parametrize("as_text", [False, True])
def test_a_path_may_be_text_and_gets_no_suffix(tmp_path, as_text):
    path = tmp_path / "state.of.a.run"
    save(str(path) if as_text else path, {"a": 1})
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.of.a.run"]
    assert load(str(path) if as_text else path) == {"a": 1}


def test_a_save_replaces_the_old_file_and_leaves_no_other(path):
    save(path, {"a": np.arange(1000)})
    save(path, {"b": 2})
    assert load(path) == {"b": 2}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("large", [{"a": np.zeros(100_000)}, {"a": "x" * 1_000_000}], ids=["array", "text"])
def test_a_save_that_fails_half_way_leaves_the_old_file_and_no_other(path, large):
    save(path, {"kept": np.arange(5)})
    before = path.read_bytes()
    with files_of_at_most(20_000), pytest.raises(OSError, match="File too large"):
        save(path, large)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"a": {1, 2}}, TypeError, "set is not JSON serializable"),
        ({"a": b"x"}, TypeError, "bytes is not JSON serializable"),
        ({"a": {"b": np.array([None])}}, TypeError, "a.b must be an array of numbers or text, got object"),
        ({"a": {"$array": 1}}, ValueError, r"a must not have the one key '\$array', which marks an array"),
        ({"$array": 1}, ValueError, r"the state must not have the one key '\$array', which marks an array"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(path, state, error, message):
    save(path, {"kept": 1})
    with pytest.raises(error, match=message):
        save(path, state)
    assert load(path) == {"kept": 1}
    assert list(path.parent.iterdir()) == [path]


def test_saving_into_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        save(tmp_path / "missing" / "state", {})


def test_loading_a_file_that_is_not_there_says_so(path):
    with pytest.raises(FileNotFoundError, match=str(path)):
        load(path)


def test_a_generator_goes_on_where_it_was(path, rng):
    rng.integers(0, 10, 7, dtype=np.uint32)  # an odd number leaves half a word buffered
    save(path, generator_state(rng))
    again = generator_from_state(load(path))
    assert again.integers(0, 10, 20, dtype=np.uint32).tolist() == rng.integers(0, 10, 20, dtype=np.uint32).tolist()
    assert again.random(5).tolist() == rng.random(5).tolist()


def test_a_generators_state_is_a_snapshot(rng, frozen):
    state = generator_state(rng)
    before = frozen(state)
    rng.random(5)
    generator_from_state(state).random(5)
    assert frozen(state) == before


@pytest.mark.parametrize("length", [64, 128])
def test_a_population_whose_words_are_full_is_accepted(rng, length):
    population = Population.random(3, length, rng)
    again = population_from_state(population_state(population))
    np.testing.assert_array_equal(again.words, population.words)


def test_a_population_survives_the_round_trip(path, rng, check_no_shared_memory):
    population = Population.random(3, np.array([5, 130, 64]), rng, weights=(1, -0.3))
    half = population[[0, 1]]
    half.fitness = [[0.1, 0.7], [2.0, -3.0]]
    population = Population.concatenate([half, population[[2]]])
    save(path, population_state(population))
    state = load(path)
    again = population_from_state(state)
    assert [str(genotype) for genotype in again] == [str(genotype) for genotype in population]
    np.testing.assert_array_equal(again.fitness, population.fitness)
    assert again.weights == population.weights
    assert [genotype.fitness for genotype in again] == [genotype.fitness for genotype in population]
    check_no_shared_memory([again], [population_from_state(state)])
    assert not np.shares_memory(again.words, state["words"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": np.zeros(3, np.uint64)}, r"words must be of shape \(any, any\), got \(3,\)"),
        ({"words": np.zeros((3, 1), np.int64)}, "words must be an array of uint64, got int64"),
        ({"words": [[1], [2], [3]]}, "words must be an array of uint64, got list"),
        ({"words": np.full((3, 1), 2**63, np.uint64)}, "bits past the length of their genotype"),
        ({"words": np.zeros((0, 1), np.uint64), "lengths": np.zeros(0, int)}, "do not fit each other"),
        ({"weights": []}, "weights must be finite numbers, at least one, got"),
        ({"weights": [float("nan")]}, "weights must be finite numbers, at least one, got"),
        ({"weights": ["1"]}, "weights must be finite numbers, at least one, got"),
        ({"fitness": np.zeros((3, 2))}, r"fitness must be of shape \(3, 1\), got \(3, 2\)"),
        ({"fitness": np.array([[1, np.nan]] * 3), "weights": [1, 1]}, "in some objectives of a genotype"),
        ({"lengths": np.array([5, 5])}, "do not fit each other"),
        ({"lengths": np.array([5, 0, 5])}, "do not fit each other"),
        ({"lengths": np.array([5, 65, 5])}, "a genotype of 65 bits does not fit 1 words"),
    ],
)
def test_a_population_whose_parts_do_not_fit_is_refused(rng, change, message):
    state = population_state(Population.random(3, 5, rng))
    with pytest.raises(ValueError, match=message):
        population_from_state({**state, **change})
