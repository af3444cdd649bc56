"""Meta-World's step and reset with less Python, and every result as it was to the last bit.

Stock Meta-World spends three quarters of a step in Python: it turns contacts into objects, looks bodies up by name,
checks that MuJoCo's rotations are rotations, and does arithmetic on two or three numbers as arrays. Here

- :mod:`~genoevo_mega.envs.fast_metaworld.model` leaves out the meshes that nothing can touch;
- :mod:`~genoevo_mega.envs.fast_metaworld.environment` replaces what all tasks share: step, observation, contacts,
  reset;
- :mod:`~genoevo_mega.envs.fast_metaworld.numbers` holds the arithmetic of the rewards on plain numbers;
- :mod:`~genoevo_mega.envs.fast_metaworld.names` makes the tasks' own reward functions use it.

Nothing of Meta-World is changed for others: :func:`faster` makes a subclass. The tests compare all 50 tasks with
stock ones. Pictures rendered of a faster environment lack the arm's shells.
"""

from genoevo_mega.envs.fast_metaworld.environment import faster

__all__ = ["faster"]
