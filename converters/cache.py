"""Results of steps, kept by the hash of everything that they follow from."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from edgeres.cache import folder
from edgeres.storage import sha256_bytes, sha256_file, typed_storage_errors, write_bytes, write_text

_LOG = logging.getLogger(__name__)


def key_of(inputs: Mapping[str, Any]) -> str:
    """The key of a result: SHA-256 of its inputs as canonical JSON."""
    return sha256_bytes(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode())


def state_folder(step: str, key: str) -> Path:
    """Where a long step keeps what it needs to go on after a kill, until its product is cached.

    One process at a time runs the step for a key (see `cached`), so that no other touches the folder.
    """
    return folder() / step / f"{key}.state"


def cached(step: str, key: str, make: Callable[[], bytes], *, suffix: str) -> Path:
    """The file that `make` gives for `key`: from the cache, or made now, once, however many processes ask.

    Raises:
        OutputError: the cache cannot be written.
    """
    place = folder() / step / f"{key}{suffix}"
    seal = place.with_name(f"{place.name}.sha256")
    with typed_storage_errors(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.with_name(f"{place.name}.lock"))
        with lock:
            if place.is_file() and seal.is_file() and seal.read_text() == sha256_file(place):
                _LOG.info("%s: cached as %s", step, key[:12])
                return place
            content = make()
            write_bytes(place, content)
            write_text(seal, sha256_bytes(content))
            shutil.rmtree(state_folder(step, key), ignore_errors=True)
    return place
