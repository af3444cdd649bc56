"""Meta-World's step and reset with less Python, and every result as it was to the last bit.

Stock Meta-World spends three quarters of a step in Python: it turns contacts into objects, looks bodies up by name,
checks that MuJoCo's rotations are rotations, and does arithmetic on two or three numbers as arrays. Here

- :mod:`~genoevo_mega.faster.environment` replaces what all tasks share: step, observation, contacts, reset;
- :mod:`~genoevo_mega.faster.numbers` holds the arithmetic of the rewards on plain numbers;
- :mod:`~genoevo_mega.faster.names` makes the tasks' own reward functions use it.

Nothing of Meta-World is changed for others: one environment gets a class of its own. The tests compare all 50 tasks
with stock ones.
"""

from genoevo_mega.faster.environment import speed_up

__all__ = ["speed_up"]
