"""``genoevo mega``: importing this package registers its commands."""

from genoevo_cli.mega import catalogue, compare, export, inspect, move, report, settings, sweep, train
from genoevo_cli.mega.group import mega

__all__ = ["catalogue", "compare", "export", "inspect", "mega", "move", "report", "settings", "sweep", "train"]
