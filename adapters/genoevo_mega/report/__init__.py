"""The HTML page of MEGA's runs.

``reader`` reads run directories, and ``content`` makes the data of the page from them. ``genealogy`` and
``structure`` compute its two larger parts. The page and its server are in :mod:`genoevo_runs.report`.
"""
