"""The inventory: devices by name, in a TOML file of the user's.

    [pi4]
    url = "ssh://pi@192.168.0.20"
    python = "/home/pi/venv/bin/python"

Lies in the user's configuration folder, or where `EDGERES_DEVICES` points. Comments survive what is added and removed.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeres.errors import ConfigError, suggestion
from edgeres.registry import lookup
from edgeres.storage import typed_storage_errors, write_text
from targets.devices import DEVICES
from targets.devices.device import Device, Entry, Scheme

ALL = "all"
"""Stands for every device of the inventory, and is no device's name."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_KEY = re.compile(r"[a-z][a-z_]*")
_URL = re.compile(r"([a-z]+)://([^/\s]+)")
_ADD = "edgeres devices add NAME URL"


def inventory_path() -> Path:
    """Where the inventory lies, whether it is there or not."""
    if named := os.environ.get("EDGERES_DEVICES"):
        return Path(named)
    import platformdirs  # here, as others below: targets import where there is only numpy and a runtime

    return Path(platformdirs.user_config_dir("edgeres", appauthor=False)) / "devices.toml"


def read_inventory(path: Path | None = None) -> dict[str, Entry]:
    """All entries by name, in the order of the file; none where there is no file.

    Raises:
        ConfigError: not TOML, or a table that is no device; says which.
    """
    path = path or inventory_path()
    return {name: _entry(name, table, where=str(path)) for name, table in _parse(_read(path), path).items()}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"the inventory {path} cannot be read: {problem}", fix="correct or remove it") from problem


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return _loads(text)
    except ValueError as problem:
        raise ConfigError(f"the inventory {path} is not TOML: {problem}", fix="correct it there") from problem


def _loads(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def _entry(name: str, table: Any, *, where: str) -> Entry:
    require_name(name, where=where)
    if not isinstance(table, dict) or not isinstance(table.get("url"), str):
        problem = f'{where}: expected a table [{name}] with url = "ssh://USER@HOST", found {str(table)[:60]!r}'
        raise ConfigError(problem, fix=f"correct it there, or: {_ADD}")
    for key, value in table.items():
        if not isinstance(value, str):
            raise ConfigError(f"{where}: {name}.{key}: expected a text, found {value!r}", fix="put it in quotes")
    require_url(table["url"], where=f"{where}: {name}")
    return Entry(name, table["url"], {key: value for key, value in table.items() if key != "url"})


def require_name(name: str, *, where: str) -> None:
    """Refuse what cannot be the name of a device.

    Raises:
        ConfigError: it is not made of letters, digits, `-` and `_`, or means all of them.
    """
    if not _NAME.fullmatch(name) or name == ALL:
        fix = "use up to 64 letters, digits, - and _, beginning with a letter or digit"
        raise ConfigError(f"{where}: {name!r} cannot be the name of a device", fix=fix)


def require_url(url: str, *, where: str) -> None:
    """Refuse what is no `SCHEME://ADDRESS` with a scheme of `DEVICES`.

    Raises:
        ConfigError: says which schemes there are.
    """
    found = _URL.fullmatch(url)
    if found is None or found[1] not in DEVICES:
        known = ", ".join(f"{scheme}://…" for scheme in DEVICES)
        problem = f"{where}: {url!r} is not the address of a device"
        raise ConfigError(problem, fix=f"expected {known}, without spaces and without a path")


def find_entry(name: str) -> Entry:
    """The entry of a name, or of a URL.

    Raises:
        ConfigError: the inventory has no such name, with the nearest match.
    """
    if "://" in name:
        require_url(name, where="--device")
        return Entry(name, name)
    known = read_inventory()
    if name not in known:
        place = inventory_path()
        fix = suggestion(name, known) if known else f"add it: edgeres devices add {shown(name)} ssh://USER@HOST"
        raise ConfigError(f"the inventory {place} has no device '{shown(name)}'", fix=fix)
    return known[name]


def shown(text: str) -> str:
    """A text as an error can print it: a hostile one holds control characters, or a novel."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:100])


def open_entry(entry: Entry) -> Device:
    """The device of an entry; connects to nothing.

    Raises:
        ConfigError: a scheme, a URL or a key that does not fit.
    """
    scheme: Scheme = lookup(DEVICES, entry.scheme, noun="kind of device", error=ConfigError)
    return scheme.open(entry)


def add_entry(entry: Entry, path: Path | None = None) -> None:
    """Write an entry into the inventory; the file is the old one or the new one at any time.

    Raises:
        ConfigError: a name that is there already, or anything that `open_entry` refuses.
        OutputError: the file cannot be written.
    """
    path = path or inventory_path()
    table = {"url": entry.url, **entry.options}
    _entry(entry.name, table, where=str(path))
    open_entry(entry)
    with typed_storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            text = _read(path)
            if entry.name in _parse(text, path):
                problem = f"the inventory {path} has a device '{entry.name}' already"
                raise ConfigError(problem, fix=f"remove it first: edgeres devices remove {entry.name}")
            write_text(path, f"{text.rstrip()}\n\n{_toml(entry.name, table)}".lstrip())


def remove_entry(name: str, path: Path | None = None) -> None:
    """Take an entry out of the inventory, and leave the rest of the file as it is.

    Raises:
        ConfigError: there is none of that name.
        OutputError: the file cannot be written.
    """
    path = path or inventory_path()
    if not path.exists():
        raise ConfigError(f"there is no inventory at {path}", fix=_ADD)
    with typed_storage_errors(path), _locked(path):
        text = _read(path)
        known = _parse(text, path)
        if name not in known:
            raise ConfigError(f"the inventory {path} has no device '{shown(name)}'", fix=suggestion(name, known))
        rest = {other: table for other, table in known.items() if other != name}
        kept = _without(text, name)
        if _parsed(kept) != rest:  # a table in a form that edgeres does not write
            kept = "\n".join(_toml(other, table) for other, table in rest.items())
        write_text(path, kept)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock

    with FileLock(f"{path}.lock"):
        yield


def _without(text: str, name: str) -> str:
    """The text without the lines of a table."""
    lines, inside = [], False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("["):
            inside = line.strip() == f"[{name}]"
        if not inside:
            lines.append(line)
    return "".join(lines)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return _loads(text)
    except ValueError:
        return None


def _toml(name: str, table: Mapping[str, Any]) -> str:
    """A table of texts; JSON's strings are TOML's, but for one control character."""
    for key in table:
        if not _KEY.fullmatch(key):
            raise ConfigError(f"{key!r} cannot be a key of a device", fix="use small letters and _")
    lines = [f"{key} = {json.dumps(str(value), ensure_ascii=False)}" for key, value in table.items()]
    return "\n".join([f"[{name}]", *lines, ""]).replace("\x7f", "\\u007f")
