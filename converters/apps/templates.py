"""Files that an app takes over: as they are, or with $names filled in."""

from __future__ import annotations

from pathlib import Path
from string import Template


def filled(path: Path, **values: object) -> bytes:
    """A template with its $names replaced; what is put in is not looked at again.

    Raises:
        ValueError: the template has a name that is not given.
    """
    try:
        return Template(path.read_text(encoding="utf-8")).substitute(values).encode("utf-8")
    except KeyError as missing:
        raise ValueError(f"{path.name} has no value for {missing}") from missing


def taken(folder: Path, *names: str) -> dict[str, bytes]:
    """Files of a folder by their names, as they are."""
    return {name: (folder / name).read_bytes() for name in names}


def taken_whole(folder: Path, *, without: tuple[str, ...] = ("README.md",)) -> dict[str, bytes]:
    """All files of a folder and its sub-folders by their paths, as they are, but those of the names in `without`."""
    names = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    return taken(folder, *(name for name in names if name not in without))
