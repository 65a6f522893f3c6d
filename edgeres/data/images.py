"""What a source's images offer: access by position, and where they lie in files, a stamp that tells of changes."""

from __future__ import annotations

import hashlib
from typing import Protocol, runtime_checkable

from edgeres.preprocess import Content


class Images(Protocol):
    """Random access to the images of a source; nothing is decoded, nothing is held."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Content:
        """The encoded bytes of an image file, or uint8 RGB pixels (h, w, 3) where the source holds them decoded."""

    def name(self, index: int) -> str:
        """Where the image is, as a person would look it up: a path relative to the source, or `digits[17]`."""


@runtime_checkable
class Stamped(Protocol):
    """Images that lie encoded in files, so that one of them may be corrupt."""

    @property
    def place(self) -> str:
        """The absolute path that they lie below, or another name that is theirs alone on this machine."""

    def stamp(self, index: int) -> bytes | None:
        """Other bytes whenever the image's file was changed (its path, size and time); None where that is unknown."""


def content_digest(content: Content) -> bytes:
    """SHA-256 of an image's content, 32 bytes."""
    body = content if isinstance(content, bytes) else f"{content.shape}".encode() + content.tobytes()
    return hashlib.sha256(body).digest()


def file_stamp(path: str, size: int, time_ns: int) -> bytes:
    """The stamp of a file: its absolute path, its size in bytes and the time it was last written."""
    return f"{path}\0{size}\0{time_ns}".encode("utf-8", "surrogateescape")
