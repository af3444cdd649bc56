"""Packages that only some functions need."""

from __future__ import annotations

import importlib
from typing import Any


def optional(package: str, user: str, install: str) -> Any:
    """Import *package*; if it is missing, ImportError says that *user* needs it and what to *install*."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ImportError(f"{user} needs {package}: pip install {install}") from None
