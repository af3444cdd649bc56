"""Sphinx configuration."""

project = "genoevo"
copyright = "2026, the genoevo developers"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest"]
autodoc_member_order = "bysource"
html_theme = "furo"
exclude_patterns = ["_build"]
nitpicky = False
