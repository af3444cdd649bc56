"""Sphinx configuration."""

project = "genoevo"
copyright = "2026, the genoevo developers"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest"]
autodoc_member_order = "bysource"
autodoc_mock_imports = ["torch", "metaworld", "gymnasium", "safetensors", "scipy", "pydantic", "yaml"]
html_theme = "furo"
exclude_patterns = ["_build"]
nitpicky = False
