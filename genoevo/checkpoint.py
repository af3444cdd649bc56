"""A search that survives: its state saved as it goes, one process at a time, and Ctrl-C between two generations."""

from genoevo.state.checkpoint import Checkpoint, Interrupted, InUseError, Stateful, check_about

__all__ = ["Checkpoint", "InUseError", "Interrupted", "Stateful", "check_about"]
