"""Checkpoints of a search: its state saved as it runs, by one process at a time, also on Ctrl-C."""

from genoevo.state.checkpoint import Checkpoint, Interrupted, InUseError, Stateful, check_about

__all__ = ["Checkpoint", "InUseError", "Interrupted", "Stateful", "check_about"]
