from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """Mark the tests of this directory, which need Ray, and run those that share a cluster first.

    It ends where a test starts a cluster of its own.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ray)
    items.sort(key=lambda item: not _shares_cluster(item))


def _shares_cluster(item):
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    asked_for = any(isinstance(value, str) and value == "ray" for value in parameters)  # by a fixture, once it runs
    return asked_for or "three_nodes" in item.fixturenames
