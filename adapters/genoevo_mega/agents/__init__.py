"""The learner: soft actor-critic, its replay and how an update is executed."""
