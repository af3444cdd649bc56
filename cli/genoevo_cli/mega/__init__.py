"""``genoevo mega``: one file for each few commands; importing it registers them all."""

from genoevo_cli.mega import choose, look, take, train
from genoevo_cli.mega.group import mega
from genoevo_cli.report import report, watch

mega.add_command(report)
mega.add_command(watch)

__all__ = ["choose", "look", "mega", "take", "train"]
