import numpy as np
import pytest


@pytest.fixture(scope="session")
def frozen():
    """A state, or any nest of dicts, lists and arrays, as a value that == compares to the last bit."""

    def freeze(value):
        if isinstance(value, dict):
            return {key: freeze(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [freeze(item) for item in value]
        if isinstance(value, np.ndarray):
            return value.dtype.str, value.shape, value.tobytes()
        return repr(value)

    return freeze
