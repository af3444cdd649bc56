"""Settings of a run, and the functions that build a config from them. No torch."""

from genoevo_mega.config.presets import PRESETS
from genoevo_mega.config.run import Config, build_config, dump_config, preset, setting_names

__all__ = ["PRESETS", "Config", "build_config", "dump_config", "preset", "setting_names"]
