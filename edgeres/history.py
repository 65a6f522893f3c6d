"""The history of measurements: a local SQLite file to which results are appended, a row for each artifact.

It keeps the figures with their intervals and what they depend on (machine, images, threads, version); the raw rounds
and the answers to each image stay in the result's JSON. Only the standard library.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edgeres.errors import ArtifactError, ConfigError, OutputError, suggestion
from edgeres.results import MACHINE, ArtifactResult, Estimate, Result

APPLICATION_ID = 0x65646765
"""What SQLite keeps in the header of the file: "edge"."""

VERSION = 1

WAIT_SECONDS = 30
"""For another process that is writing."""


@dataclass(frozen=True)
class Entry:
    """One artifact as it was measured once. A figure is (value, low, high); None where it was not measured.

    `machine` is what times depend on, as JSON text; `data_sha256` names the images, and
    `baseline_sha256` what drop and speed-up are against.
    """

    created: str
    artifact: str
    sha256: str
    target: str
    baseline: bool
    size_bytes: int
    edgeres: str
    cpu: str
    machine: str
    baseline_sha256: str | None = None
    data_sha256: str | None = None
    images: int | None = None
    threads: int | None = None
    peak_bytes: int | None = None
    accuracy_verdict: str | None = None
    latency_verdict: str | None = None
    top1: tuple[float, float, float] | None = None
    drop_points: tuple[float, float, float] | None = None
    p50_ms: tuple[float, float, float] | None = None
    speedup: tuple[float, float, float] | None = None


FIGURES = ("top1", "drop_points", "p50_ms", "speedup")
"""The fields that are three columns."""


def append(path: Path, result: Result) -> int:
    """Add a result's artifacts to the history, all or none; makes the file where it is absent. Returns their number.

    Raises:
        ArtifactError: the file is no history of this version.
        OutputError: it cannot be written.
    """
    entries = [_entry(result, artifact) for artifact in result.artifacts if artifact.failure is None]
    names = _columns()
    marks = ", ".join("?" for _ in names)
    with _opened(path, create=True) as connection, connection:
        connection.executemany(
            f"INSERT INTO measurements ({', '.join(names)}) VALUES ({marks})",  # noqa: S608 - names of fields # nosec B608
            [_values(entry) for entry in entries],
        )
    return len(entries)


def read(path: Path, artifact: str | None = None) -> tuple[Entry, ...]:
    """What the history holds, oldest first; of one artifact, or of all.

    Raises:
        ArtifactError: absent, or no history of this version.
        ConfigError: it holds no artifact of that name.
    """
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist", fix="make it: edgeres evaluate … --history FILE.sqlite")
    with _opened(path, create=False) as connection:
        rows = connection.execute(
            f"SELECT {', '.join(_columns())} FROM measurements ORDER BY created, id"  # noqa: S608 - names of fields # nosec B608
        ).fetchall()
    entries = tuple(map(_read, rows))
    if artifact is None:
        return entries
    found = tuple(entry for entry in entries if entry.artifact == artifact)
    if not found:
        fix = suggestion(artifact, {entry.artifact for entry in entries})
        raise ConfigError(f"{path} holds no artifact called '{artifact}'", fix=fix)
    return found


def require_history(path: Path) -> None:
    """Refuse a file that is no history, before minutes are spent on what would be appended to it.

    Raises:
        ArtifactError: it is something else.
    """
    if path.exists() and path.stat().st_size:
        with _opened(path, create=False):
            pass


@contextmanager
def _opened(path: Path, *, create: bool) -> Iterator[sqlite3.Connection]:
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        address = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'ro'}"
        with closing(sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS)) as connection:
            _require_schema(path, connection, create=create)
            yield connection
    except sqlite3.OperationalError as problem:
        if create:
            raise OutputError(f"cannot write {path}: {problem}", fix="choose another place to write to") from problem
        raise ArtifactError(f"{path} cannot be read as a history: {problem}", fix=_FIX) from problem
    except (sqlite3.DatabaseError, ValueError, TypeError) as problem:
        raise ArtifactError(f"{path} cannot be read as a history: {problem}", fix=_FIX) from problem


_FIX = "give a file that was made by --history"


def _require_schema(path: Path, connection: sqlite3.Connection, *, create: bool) -> None:
    """The file is a history; an empty one becomes one."""
    connection.execute("BEGIN IMMEDIATE" if create else "BEGIN")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if create and not tables:
        columns = ", ".join(_columns())
        connection.execute(f"CREATE TABLE measurements (id INTEGER PRIMARY KEY, {columns})")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    found = tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    connection.commit()
    if found[0] != APPLICATION_ID:
        raise ArtifactError(f"{path} is no history of edgeres", fix=_FIX)
    if found[1] != VERSION:
        raise ArtifactError(
            f"{path}: expected a history of version {VERSION}, found {found[1]}",
            fix="read it with the edgeres that wrote it, or begin another file",
        )


def _columns() -> list[str]:
    names = []
    for field in fields(Entry):
        names += [f"{field.name}{end}" for end in ("", "_low", "_high")] if field.name in FIGURES else [field.name]
    return names


def _values(entry: Entry) -> list[Any]:
    values: list[Any] = []
    for field in fields(Entry):
        value = getattr(entry, field.name)
        values += list(value or (None, None, None)) if field.name in FIGURES else [value]
    return values


def _read(row: tuple[Any, ...]) -> Entry:
    values: dict[str, Any] = {}
    rest = list(row)
    for field in fields(Entry):
        if field.name in FIGURES:
            figure, rest = rest[:3], rest[3:]
            values[field.name] = None if figure[0] is None else tuple(map(float, figure))
        else:
            values[field.name], rest = rest[0], rest[1:]
    return Entry(**{**values, "baseline": bool(values["baseline"])})


def _entry(result: Result, artifact: ArtifactResult) -> Entry:
    accuracy, latency, memory = artifact.accuracy, artifact.latency, artifact.memory
    environment = result.environment_of(artifact)
    return Entry(
        created=result.created,
        artifact=artifact.name,
        sha256=artifact.sha256,
        target=artifact.target,
        baseline=artifact.baseline,
        size_bytes=artifact.size_bytes,
        edgeres=str(environment.get("versions", {}).get("edgeres", "")),
        cpu=str(environment.get("cpu", "")),
        machine=json.dumps({name: environment.get(name) for name in MACHINE}, sort_keys=True),
        baseline_sha256=next(
            (one.sha256 for one in result.artifacts if one.baseline and one.target == artifact.target), None
        ),
        data_sha256=result.data.sha256 if result.data and accuracy else None,
        images=accuracy.images if accuracy else None,
        threads=latency.threads if latency else None,
        peak_bytes=memory.peak_bytes if memory else None,
        accuracy_verdict=accuracy.verdict if accuracy else None,
        latency_verdict=latency.verdict if latency else None,
        top1=_figure(accuracy.top1 if accuracy else None),
        drop_points=_figure(accuracy.top1_drop_points if accuracy else None),
        p50_ms=_figure(latency.p50_ms if latency else None),
        speedup=_figure(latency.speedup if latency else None),
    )


def _figure(estimate: Estimate | None) -> tuple[float, float, float] | None:
    return None if estimate is None else (estimate.value, estimate.low, estimate.high)
