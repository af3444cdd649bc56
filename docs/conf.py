"""Sphinx configuration."""

project = "genoevo"
copyright = "2026, the genoevo developers"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest"]
autodoc_member_order = "bysource"
html_theme = "furo"
exclude_patterns = ["_build"]
nitpicky = True
# What is explained elsewhere: Python, numpy, torch, DEAP and pydantic; and variables of types.
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|torch|deap|pydantic|collections|functools|os|pathlib|types|typing)\b.*"),
    ("py:class", r"genoevo\.state\.T"),
]


def _pictures_of_the_readme(app, path, docname, content):
    # The README names its pictures from the repository's root, as hosts of repositories want them.
    content[0] = content[0].replace("docs/_static/", "_static/")


def setup(app):
    """Sphinx's hook."""
    app.connect("include-read", _pictures_of_the_readme)
