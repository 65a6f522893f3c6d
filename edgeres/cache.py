"""Where edgeres keeps what it would otherwise work out again; all of it may be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def folder() -> Path:
    """Where the cache lives: `EDGERES_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("EDGERES_CACHE") or platformdirs.user_cache_dir("edgeres"))
