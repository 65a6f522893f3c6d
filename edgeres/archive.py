"""Zip archives that somebody else made: what a member may be called, and what it may unpack to.

Nothing here writes members to the disk by the names that they bring. The names are checked all the same: an archive
whose members reach out of it, or of which two programs would read different members, is no honest one.
"""

from __future__ import annotations

import stat
import zipfile
from pathlib import PurePosixPath

MAX_MEMBERS = 100_000
MAX_UNPACKED = 64 << 20
"""A larger member must not be compressed to less than a hundredth."""

_MAX_RATIO = 100


def check_members(archive: zipfile.ZipFile, *, limit: int) -> None:
    """Refuse an archive by its table of contents; `limit`: bytes that all members together may unpack to.

    Raises:
        ValueError: a path that leaves the archive's folder, a link, an encrypted member, two members of one name (or
            of names that differ in case only), a small member that unpacks to a large one, or too much in all.
    """
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"it has {len(members):,} members, more than the {MAX_MEMBERS:,} accepted")
    seen: dict[str, str] = {}
    for member in members:
        name = member.filename
        if (reason := _objection(member)) is not None:
            raise ValueError(f"its member '{name[:60]}' {reason}")
        if (other := seen.setdefault(name.rstrip("/").casefold(), name)) is not name:
            raise ValueError(f"it has two members '{other[:60]}' and '{name[:60]}', which some systems take for one")
    if (size := sum(member.file_size for member in members)) > limit:
        raise ValueError(f"its members unpack to {size:,} bytes, more than the {limit:,} accepted")


def _objection(member: zipfile.ZipInfo) -> str | None:
    """Why a member may not be in an archive, or None."""
    name = member.orig_filename
    if "\\" in name or ":" in name or not name.isprintable():
        return "has a name that is a path of another system"
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        return "has a name that leaves the archive's folder"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.flag_bits & 1:
        return "is encrypted"
    if member.file_size > max(MAX_UNPACKED, _MAX_RATIO * member.compress_size):
        return f"of {member.compress_size:,} bytes unpacks to {member.file_size:,}"
    return None
