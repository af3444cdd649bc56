"""Meta-World's step and reset with less Python; every result is the same, bit for bit.

Stock Meta-World spends three quarters of a step in Python. It turns contacts into objects, looks bodies up by name,
checks that MuJoCo's rotations are rotations, and computes with two or three numbers as arrays. The modules here:

- :mod:`~genoevo_mega.envs.fast_metaworld.model` removes the meshes that nothing can touch;
- :mod:`~genoevo_mega.envs.fast_metaworld.environment` replaces the code that all tasks share: step, observation,
  contacts, reset;
- :mod:`~genoevo_mega.envs.fast_metaworld.numbers` holds the arithmetic of the rewards on plain numbers;
- :mod:`~genoevo_mega.envs.fast_metaworld.names` makes the tasks' own reward functions use this arithmetic.

Meta-World itself stays unchanged for other users: :func:`faster` makes a subclass. The tests compare all 50 tasks
with the stock tasks. Pictures of a faster environment lack the arm's shells.
"""

from genoevo_mega.envs.fast_metaworld.environment import faster

__all__ = ["faster"]
