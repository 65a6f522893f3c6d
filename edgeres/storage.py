"""Files that are either whole or absent: atomic writes, hashes, and output folders that are never overwritten."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
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


def storage_error(error: OSError, path: Path | str | None = None) -> OutputError | None:
    """The typed form of an OSError that means 'cannot write there', or None for any other."""
    problem = _STORAGE_PROBLEMS.get(error.errno or 0)
    if problem is None:
        return None
    where = path or error.filename or "the output"
    return OutputError(f"cannot write {where}: {problem}", fix="free some space or choose another --out")


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
        OutputError: no space, no permission, read-only file system.
    """
    with typed_storage_errors(path):
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


def _beside(path: Path) -> Path:
    """A hidden name in the same folder (a rename is atomic within one file system), cut to what file systems take."""
    path = path.absolute()
    return path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}.part")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def require_absent(path: Path) -> None:
    """Refuse an output path that exists, before any work is done for it.

    Raises:
        OutputError: it exists (an empty folder is accepted).
    """
    if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise OutputError(f"the output {path} exists already", fix="choose another --out, or remove it first")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes `path` when the block ends well, and vanishes when it does not.

    Raises:
        OutputError: `path` exists, or cannot be written.
    """
    require_absent(path)
    with typed_storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        try:
            temporary.mkdir()
            yield temporary
            os.replace(temporary, path.absolute())
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
