"""What runs have done, as one HTML page that needs nothing beside itself.

``reader`` reads run directories, ``content`` turns what it read into the data of the page, with ``genealogy`` and
``structure`` for the two parts that need more than arithmetic; ``page`` puts data, style and scripts into one file,
and ``server`` shows it while the run trains. ``page`` imports the standard library alone, so that the engine's own
page is made where torch is not installed.
"""
