"""Sphinx configuration."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "genoevo"
copyright = "2026, the genoevo developers"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest", "command_line", "settings_reference"]
autodoc_member_order = "bysource"
html_theme = "furo"
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    # Names that are documented elsewhere.
    ("py:.*", r"(numpy|np|npt|torch|deap|pydantic|collections|functools|os|pathlib|types|typing)\b.*"),
    # Shapes, ranges and sentences that napoleon takes for types.
    ("py:class", r"[nkG]|in|minimum|mutation_threshold|\d+|u?int\d+|float\d+|.*\s.*"),
    # Type aliases, type variables, and public names that are not part of the reference.
    (
        "py:class",
        r"genoevo\.(state\.parts\.T|decode\.Weights|evolution\.stops\.Progress)"
        r"|Tensor|Floats|Origins|(genoevo\.genotype\.)?Fitness",
    ),
    ("py:class", r"genoevo_mega\.(config|training|experiments|agents\.(replay|executor|optimizers|step))\..*"),
    ("py:class", r"genoevo_mega\.networks\.\w+\.\w+Network"),
    ("py:class", r"genoevo_runs\.(settings|report|checkpoint_store|manifest)\..*"),
    ("py:class", r"Ints|Flags|Doubles|Arrays|nn\.Module"),
]


def _pictures_of_the_readme(app, path, docname, content):
    # The README's paths of pictures start at the repository's root, as repository hosts expect.
    content[0] = content[0].replace("docs/_static/", "_static/")


def setup(app):
    """Connect the event; Sphinx calls this."""
    app.connect("include-read", _pictures_of_the_readme)
