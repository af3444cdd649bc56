"""What to install when a package is not installed; imports nothing but Python's own."""

from __future__ import annotations

CLI = frozenset({"click", "rich", "rich_click"})
MEGA = frozenset(
    {"gymnasium", "metaworld", "packaging", "pydantic", "safetensors", "scipy", "tensorboard", "torch", "yaml"}
)
"""The modules of the packages that the extras ask for."""


def line(error: ModuleNotFoundError, who: str) -> str:
    """Return one line that *who* needs the module, with what to install if it is a module of these extras."""
    if not error.name:
        return str(error)
    if error.name in CLI:
        return f"{who} needs {error.name}: pip install 'genoevo[mega]' (or 'genoevo[cli]')"
    if error.name in MEGA:
        return f"{who} needs {error.name}: pip install 'genoevo[mega]'"
    return f"{who} needs {error.name}, which is not installed"
