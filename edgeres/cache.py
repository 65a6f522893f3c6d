"""Where edgeres keeps what it would otherwise work out again; all of it may be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """Where the cache lives: `EDGERES_CACHE`, or the user's cache folder."""
    if named := os.environ.get("EDGERES_CACHE"):
        return Path(named)
    import platformdirs  # here: bundles import data sets on devices that do not have it

    return Path(platformdirs.user_cache_dir("edgeres"))
