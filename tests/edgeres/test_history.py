from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from edgeres.errors import ArtifactError, ConfigError, OutputError
from edgeres.history import append, read, require_history
from tests.targets import measured
from tests.targets.measured import compared


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "h.sqlite"


def test_what_is_appended_is_read_back_oldest_first(file: Path) -> None:
    late, early = (
        replace(compared(lost=lost), created=f"2026-01-0{day}T00:00:00+00:00") for lost, day in ((9, 2), (3, 1))
    )
    assert append(file, late) == append(file, early) == 2
    assert len(read(file)) == 4
    first, second = read(file, "int8")
    assert [first.created[:10], second.created[:10]] == ["2026-01-01", "2026-01-02"]
    accuracy, latency = early.artifacts[1].accuracy, early.artifacts[1].latency
    assert accuracy is not None
    assert latency is not None
    assert accuracy.top1_drop_points is not None
    assert first.top1 == (accuracy.top1.value, accuracy.top1.low, accuracy.top1.high)
    assert first.drop_points is not None
    assert first.drop_points[0] == accuracy.top1_drop_points.value
    assert first.p50_ms is not None
    assert first.p50_ms[0] == latency.p50_ms.value
    assert (first.baseline, first.size_bytes, first.threads, first.images) == (False, 1000, 1, 1000)
    assert (first.cpu, first.edgeres, first.data_sha256) == ("A", "0.1.0", "d" * 64)


def test_what_was_not_measured_is_none(file: Path) -> None:
    append(file, measured.result(measured.artifact("a")))
    (entry,) = read(file)
    assert entry.top1 is entry.p50_ms is entry.images is entry.threads is entry.data_sha256 is None


def test_a_name_is_data_and_not_sql(file: Path) -> None:
    name = "'); DROP TABLE measurements; --"
    append(file, measured.result(measured.artifact(name)))
    assert [entry.artifact for entry in read(file, name)] == [name]


def test_an_empty_file_becomes_a_history(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite"
    path.touch()
    require_history(path)
    assert append(path, compared()) == 2


def test_several_write_at_once(file: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: append(file, compared()), range(8))) == [2] * 8
    assert len(read(file)) == 16


def test_an_unknown_artifact_is_answered_with_the_nearest(file: Path) -> None:
    append(file, compared())
    with pytest.raises(ConfigError, match="'int9'") as caught:
        read(file, "int9")
    assert caught.value.fix == "did you mean 'int8'?"


@pytest.mark.parametrize("content", [b"{}", b"SQLite format 3\0 and no more"])
def test_what_is_no_database_is_an_error_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(content)
    for act in (read, require_history, lambda place: append(place, compared())):
        with pytest.raises(ArtifactError, match="cannot be read as a history"):
            act(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["CREATE TABLE other (x)"], "no history of edgeres"),
        (
            ["CREATE TABLE measurements (id)", "PRAGMA application_id = 1701078885", "PRAGMA user_version = 2"],
            "found 2",
        ),
    ],
)
def test_another_database_is_an_error_and_stays_as_it_is(tmp_path: Path, statements: list[str], message: str) -> None:
    path = tmp_path / "x.sqlite"
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    for act in (read, require_history, lambda place: append(place, compared())):
        with pytest.raises(ArtifactError, match=message):
            act(path)


def test_an_absent_file_cannot_be_read_and_a_folder_not_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="does not exist"):
        read(tmp_path / "absent.sqlite")
    require_history(tmp_path / "absent.sqlite")
    assert not (tmp_path / "absent.sqlite").exists()
    with pytest.raises(OutputError, match="cannot write"):
        append(tmp_path, compared())
