"""From a bundle to the folder of an app: checked before, written whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters.apps import APPS
from converters.apps.literals import json_bytes
from converters.apps.model_card import render
from converters.apps.source import Source, read_source
from edgeres.errors import ConfigError
from edgeres.registry import lookup, require_known
from edgeres.storage import new_folder, require_absent, sha256_bytes, sha256_file, write_bytes

SCHEMA = "edgeres.app/1"
RECORD = "embed.json"
"""Lists the files of an app with their SHA-256: by it, a folder that may be replaced is told from any other."""

CARD = "MODEL_CARD.md"
MICROCONTROLLERS = ("c",)
"""Platforms whose memory `--flash` can limit."""

_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 10**6, "kib": 1 << 10, "mib": 1 << 20}


@dataclass(frozen=True)
class App:
    """What was written: the platform, and the bytes of each file by its path in the folder."""

    platform: str
    files: dict[str, bytes]


def embed(
    bundle: Path, platform: str, out: Path, *, results: Sequence[Path] = (), flash_bytes: int | None = None
) -> App:
    """Write the app of a bundle into the folder `out`.

    `results`: files of measurements, for the model card. `flash_bytes`: of a microcontroller.

    Raises:
        OutputError: `out` exists and is not an app as embed wrote it, or cannot be written.
        ConfigError: unknown platform; flash means nothing there, or is too small for the model.
        ModelError, ArtifactError: the bundle or a result is unfit, see `read_source`; or unfit for this platform.
    """
    require_known(APPS, platform, noun="platform", error=ConfigError)
    if flash_bytes is not None and platform not in MICROCONTROLLERS:
        raise ConfigError(f"--flash means nothing with --platform {platform}", fix="leave it out")
    replaces = is_untouched(out)
    if not replaces:
        require_absent(out)
    source = read_source(bundle)
    if flash_bytes is not None:
        _require_room(source, flash_bytes)
    files: dict[str, bytes] = lookup(APPS, platform, noun="platform", error=ConfigError)(source)
    files[CARD] = render(source, results).encode("utf-8")
    with new_folder(out, replaces=replaces) as folder:
        for name, content in {**files, RECORD: _record(source, platform, files)}.items():
            write_bytes(folder / name, content)
    return App(platform, files)


def _record(source: Source, platform: str, files: Mapping[str, bytes]) -> bytes:
    return json_bytes(
        {
            "schema": SCHEMA,
            "platform": platform,
            "bundle": source.name,
            "files": {name: sha256_bytes(content) for name, content in sorted(files.items())},
        }
    )


def is_untouched(folder: Path) -> bool:
    """Whether a folder holds an app exactly as `embed` wrote it, so that nobody's work is lost with it."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="ascii"))
        files = record["files"] if record["schema"] == SCHEMA else {}
        found = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}
        return found == {RECORD, *files} and all(sha256_file(folder / name) == files[name] for name in files)
    except (OSError, ValueError, KeyError, TypeError):  # no record, or not one of ours
        return False


def _require_room(source: Source, flash_bytes: int) -> None:
    if (needed := len(source.bare_model)) > flash_bytes:
        raise ConfigError(
            f"the model has {needed:,} bytes, the flash {flash_bytes:,}",
            fix="convert with a recipe that leaves less (slim-int8, int4), or name a larger --flash",
        )


def parse_size(text: str) -> int:
    """Bytes of a size such as 1MiB, 512KiB, 64kB or 65536.

    Raises:
        ConfigError: none of these.
    """
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS or not (size := int(float(found[1]) * _UNITS[found[2]])):
        raise ConfigError(f"'{text}' is no size", fix="give bytes, or a number with kB, MB, KiB or MiB: 1MiB")
    return size
