"""The HTML page of MEGA's runs.

``reader`` reads run directories, ``content`` turns what it read into the data of the page, with ``genealogy`` and
``structure`` for the two parts that need more than arithmetic. The page itself, and its server, are those of
:mod:`genoevo_runs.report`.
"""
