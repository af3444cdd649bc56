"""``genoevo mega``: one file for each few commands; importing it registers them all."""

from genoevo_cli.mega import look, take, train
from genoevo_cli.mega.group import mega

__all__ = ["look", "mega", "take", "train"]
