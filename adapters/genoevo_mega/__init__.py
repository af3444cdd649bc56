"""MEGA: a modular soft actor-critic whose structure evolves, on Meta-World's multi-task suites."""
