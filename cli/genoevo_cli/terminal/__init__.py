"""Output for people while a command works and when it ends, on standard error."""
