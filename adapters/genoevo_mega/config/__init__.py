"""What can be set, and what scripts need to set it. No torch."""

from genoevo_mega.config.presets import PRESETS
from genoevo_mega.config.run import Config, build_config, dump_config, preset, setting_names

__all__ = ["PRESETS", "Config", "build_config", "dump_config", "preset", "setting_names"]
