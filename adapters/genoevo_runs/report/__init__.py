"""HTML pages of runs, each in one file that loads nothing else.

``page`` puts data, style and scripts into one file. ``server`` serves it while a run trains. ``evolution`` makes the
data of the engine's own page. An adapter registers the script that draws its data.

No module here has more dependencies than the engine, so ``genoevo evolve --report`` works without any adapter.
"""
