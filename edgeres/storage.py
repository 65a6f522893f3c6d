"""Files that are either whole or absent: atomic writes, hashes, and output folders that are never overwritten."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeres.errors import OutputError

_STORAGE_PROBLEMS = {
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EROFS: "the file system is read-only",
    errno.EFBIG: "the file would be larger than allowed",
    errno.EISDIR: "it is a folder",
    errno.ENOTEMPTY: "it was created by somebody else meanwhile",
    errno.EEXIST: "a file is in the way",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.ENAMETOOLONG: "the name is too long",
}

_FULL = (errno.ENOSPC, errno.EDQUOT)


def sha256_bytes(content: bytes) -> str:
    """SHA-256 as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def read_limited(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises:
        ValueError: it is longer, or no regular file: a pipe would be waited for, a device has no end.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):  # to open a folder says what it is
        raise ValueError("it is no regular file")
    with path.open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return content


def storage_error(error: OSError, path: Path | str | None = None) -> OutputError | None:
    """The typed form of an OSError that means 'cannot write there', or None for any other."""
    problem = _STORAGE_PROBLEMS.get(error.errno or 0)
    if problem is None:
        return None
    where = path or error.filename or "the output"
    fix = "free some space, or choose another place" if error.errno in _FULL else "choose another place to write to"
    return OutputError(f"cannot write {where}: {problem}", fix=fix)


def full_temporary_folder(problem: Exception) -> OutputError | None:
    """The typed form of what a library raised because the folder for temporary files is full, or None."""
    full = isinstance(problem, OSError) and problem.errno in _FULL
    if not full and os.strerror(errno.ENOSPC) not in str(problem):  # TensorFlow puts it into errors of its own
        return None
    where = tempfile.gettempdir()
    return OutputError(f"cannot write below {where}: no space is left", fix="free some space, or set TMPDIR")


@contextmanager
def temporary_files_in(folder: str) -> Iterator[None]:
    """Have libraries make their temporary files in a folder that goes away, however they end."""
    before = tempfile.tempdir
    tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def typed_storage_errors(path: Path) -> Iterator[None]:
    """Turn 'disk full', 'read-only' and the like, raised inside, into an OutputError about `path`."""
    try:
        yield
    except OSError as error:
        if (typed := storage_error(error, path)) is not None:
            raise typed from error
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that its name always holds either the old content or all of the new one.

    Raises:
        OutputError: no space, no permission, read-only file system, a device or pipe in its place.
    """
    with typed_storage_errors(path):
        _require_no_device(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        try:
            with temporary.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _require_no_device(path: Path) -> None:
    """A rename would put a file in the place of /dev/null."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OutputError(f"cannot write {path}: it is not a regular file", fix="choose another place to write to")


def _beside(path: Path) -> Path:
    """A hidden name in the same folder (a rename is atomic within one file system), cut to what file systems take."""
    path = path.absolute()
    return path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}.part")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def require_writable(path: Path) -> None:
    """Refuse a place for a file, before minutes are spent on what would be written there.

    Raises:
        OutputError: it is something else than a file, or its folder cannot be written.
    """
    with typed_storage_errors(path):
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder, not a regular file", fix="name a file")
        _require_no_device(path)
    _require_folder(path)


def _require_folder(path: Path) -> None:
    """The folder that will hold `path`, or the one in which that will be made, must be writable."""
    with typed_storage_errors(path):
        folder = path.absolute().parent
        while not folder.exists():
            folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        problem = f"{folder} is not a folder that can be written"
        raise OutputError(f"cannot write {path}: {problem}", fix="choose another place to write to")


def require_absent(path: Path) -> None:
    """Refuse an output path that exists or cannot be made, before any work is done for it.

    Raises:
        OutputError: it exists (an empty folder is accepted), or its folder cannot be written.
    """
    with typed_storage_errors(path):
        if not _is_vacant(path):
            raise OutputError(f"the output {path} exists already", fix="choose another --out, or remove it first")
    _require_folder(path)


def _is_vacant(path: Path) -> bool:
    """Nothing is there, or an empty folder."""
    if path.is_dir() and not path.is_symlink():
        return not any(path.iterdir())
    return not (path.exists() or path.is_symlink())


@contextmanager
def discarded_on_failure(path: Path, *, unless: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Leave nothing of a folder that is filled in place when the block fails, unless it holds something of use then.

    A folder that held anything before the block is left alone.
    """
    vacant, existed = _is_vacant(path), path.exists()
    try:
        yield
    except BaseException:
        if vacant and path.is_dir() and not unless():
            for entry in path.iterdir():
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
            if not existed:
                path.rmdir()
        raise


@contextmanager
def new_folder(path: Path, *, replaces: bool = False) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes `path` when the block ends well, and vanishes when it does not.

    `replaces`: a folder is at `path`, and goes when the new one is complete.

    Raises:
        OutputError: `path` exists (unless it is replaced), or cannot be written.
    """
    _require_folder(path) if replaces else require_absent(path)
    with typed_storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        try:
            temporary.mkdir()
            yield temporary
            _take_place(temporary, path.absolute(), replaces=replaces)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _take_place(temporary: Path, path: Path, *, replaces: bool) -> None:
    if not replaces:
        os.replace(temporary, path)
        return
    former = _beside(path)
    os.replace(path, former)
    try:
        os.replace(temporary, path)
    except BaseException:
        os.replace(former, path)
        raise
    shutil.rmtree(former)
