"""Runs as HTML pages that need nothing beside themselves.

``page`` puts data, style and scripts into one file. ``server`` shows it while a run goes on. ``evolution`` makes the
data of the engine's own page. An adapter registers the script that draws its data.

No module here needs more than the engine does, so that ``genoevo evolve --report`` works without any adapter.
"""
