from __future__ import annotations

import errno
import hashlib
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeres.errors import OutputError
from edgeres.storage import (
    discarded_on_failure,
    full_temporary_folder,
    new_folder,
    require_absent,
    require_writable,
    sha256_bytes,
    sha256_file,
    storage_error,
    typed_storage_errors,
    write_bytes,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill_folder(path: Path, sizes: dict[str, int], *, problem: type[BaseException] | None = None) -> None:
    with new_folder(path) as folder:
        for name, size in sizes.items():
            write_bytes(folder / name, b"x" * size)
        if problem:
            raise problem


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The kernel refuses to let a file grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_disk(disk_of: Callable[[int], Path]) -> Path:
    """A file system of 64 kB."""
    return disk_of(64)


def test_hashes_are_sha256(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "x").write_bytes(content)
    assert sha256_file(tmp_path / "x") == sha256_bytes(content) == hashlib.sha256(content).hexdigest()


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "x.txt", "ä\n")
    assert (tmp_path / "a" / "b" / "x.txt").read_bytes() == b"\xc3\xa4\n"
    assert names(tmp_path / "a" / "b") == ["x.txt"]


def test_modes_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "x", b"")
        with new_folder(tmp_path / "f"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o750


def test_the_longest_name_is_accepted(tmp_path: Path) -> None:
    write_bytes(tmp_path / ("x" * 255), b"1")
    with pytest.raises(OutputError, match="the name is too long"):
        write_bytes(tmp_path / ("x" * 256), b"1")


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "x", b"old")
    with largest_file(1000), pytest.raises(OutputError, match="larger than allowed"):
        write_bytes(tmp_path / "x", b"new" * 1000)
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_a_full_disk_is_an_output_error_and_leaves_nothing(small_disk: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*x: no space is left") as caught:
        write_bytes(small_disk / "x", b"x" * 100_000)
    assert caught.value.fix
    with pytest.raises(OutputError, match=r"no space is left"):
        fill_folder(small_disk / "f", {"first": 10_000, "second": 100_000})
    assert names(small_disk) == []


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="a file is in the way"):
        write_bytes(tmp_path / "file" / "x", b"")
    with pytest.raises(OutputError, match="it is a folder"):
        write_bytes(tmp_path, b"")
    assert names(tmp_path) == ["file"]


def test_other_problems_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), typed_storage_errors(tmp_path):
        (tmp_path / "absent").read_bytes()
    assert storage_error(OSError(errno.ECONNRESET, "reset")) is None
    typed = storage_error(OSError(errno.ENOSPC, "full", "/some/file"))
    assert typed is not None
    assert "/some/file" in typed.message


def test_a_new_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "out") as folder:
        (folder / "x").write_text("1")
        assert not (tmp_path / "a" / "out").exists()
    assert (tmp_path / "a" / "out" / "x").read_text() == "1"
    assert names(tmp_path / "a") == ["out"]


def test_a_folder_is_replaced_when_the_new_one_is_complete(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out", replaces=True):
        raise RuntimeError
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]
    with new_folder(tmp_path / "out", replaces=True) as folder:
        (folder / "new").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_new_folder_vanishes_when_something_goes_wrong(tmp_path: Path, problem: type[BaseException]) -> None:
    with pytest.raises(problem):
        fill_folder(tmp_path / "out", {"x": 1, "deep/y": 1}, problem=problem)
    assert names(tmp_path) == []


def test_an_empty_folder_may_be_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    with new_folder(Path()) as folder:
        (folder / "x").write_text("1")
    assert names(tmp_path / "out") == ["x"]


def test_what_exists_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "folder", "dangling"):
        with pytest.raises(OutputError, match="exists already"):
            require_absent(tmp_path / name)
        with pytest.raises(OutputError, match="exists already"), new_folder(tmp_path / name):
            pytest.fail("the block must not run")
    assert names(tmp_path) == ["dangling", "file", "folder"]


def test_a_folder_that_somebody_else_made_meanwhile_is_kept(tmp_path: Path) -> None:
    meanwhile = new_folder(tmp_path / "out")
    meanwhile.__enter__()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "theirs").write_text("x")
    with pytest.raises(OutputError, match="meanwhile"):
        meanwhile.__exit__(None, None, None)
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["theirs"]


def test_a_device_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for write in (lambda path: write_bytes(path, b"x"), require_writable):
        with pytest.raises(OutputError, match="not a regular file"):
            write(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_a_place_for_a_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    require_writable(tmp_path / "file")
    require_writable(tmp_path / "a" / "b" / "new")
    for path, words in ((tmp_path, "a folder"), (tmp_path / "file" / "new", "not a folder that can be written")):
        with pytest.raises(OutputError, match=words):
            require_writable(path)
    with pytest.raises(OutputError, match="not a folder that can be written"):
        require_absent(tmp_path / "file" / "new")
    with pytest.raises(OutputError, match="the name is too long"):
        require_absent(tmp_path / ("x" * 256))
    assert names(tmp_path) == ["file"]


def spoil(path: Path, *, useful: bool = False) -> None:
    with discarded_on_failure(path, unless=lambda: useful):
        path.mkdir(exist_ok=True)
        (path / "deep").mkdir()
        (path / "deep" / "x").write_text("1")
        (path / "x").write_text("1")
        raise KeyboardInterrupt


def test_what_was_filled_in_place_is_discarded_when_it_fails(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        with pytest.raises(KeyboardInterrupt):
            spoil(tmp_path / name)
    assert names(tmp_path) == ["empty"]
    assert names(tmp_path / "empty") == []


def test_what_was_there_or_is_of_use_is_kept(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "y").write_text("1")
    with pytest.raises(KeyboardInterrupt):
        spoil(tmp_path / "theirs")
    with pytest.raises(KeyboardInterrupt):
        spoil(tmp_path / "new", useful=True)
    assert names(tmp_path / "theirs") == ["deep", "x", "y"]
    assert names(tmp_path / "new") == ["deep", "x"]


def test_a_full_folder_for_temporary_files_is_recognized_in_a_librarys_own_error() -> None:
    for problem in (OSError(errno.ENOSPC, "full"), RuntimeError("UNKNOWN: /tmp/x; No space left on device")):
        typed = full_temporary_folder(problem)
        assert typed is not None
        assert "no space is left" in typed.message
    assert full_temporary_folder(OSError(errno.EACCES, "no")) is None
    assert full_temporary_folder(ValueError("a layer")) is None
