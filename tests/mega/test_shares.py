"""How workers are placed on nodes; tests/mega/test_rollout.py has how tasks are dealt to workers."""

from genoevo_mega.envs.shares import place


def loads_of(loads, nodes):
    """The load of each node, by its name, if workers sit where :func:`place` says."""
    seats = place(loads, nodes)
    assert sorted(seats) == list(range(len(nodes)))  # a seat each
    carried = dict.fromkeys(nodes, 0.0)
    for load, seat in zip(loads, seats, strict=True):
        carried[nodes[seat]] += load
    return carried


def test_costly_workers_are_kept_apart():
    assert loads_of([3.0, 3.0, 1.0, 1.0], ["a", "a", "b", "b"]) == {"a": 4.0, "b": 4.0}


def test_the_costliest_worker_shares_its_node_with_the_cheapest():
    assert loads_of([4.0, 3.0, 2.0, 1.0], ["a", "a", "b", "b"]) == {"a": 5.0, "b": 5.0}


def test_a_node_with_fewer_seats_takes_no_more_workers_than_that():
    assert loads_of([2.0, 2.0, 2.0, 2.0], ["a", "b", "b", "b"]) == {"a": 2.0, "b": 6.0}


def test_workers_of_equal_load_sit_in_order():
    assert place([1.0, 1.0, 1.0], ["a", "b", "c"]) == [0, 1, 2]
