"""The engine in a child process that makes pixels of image files."""

from __future__ import annotations

from typing import Any

from edgeres.errors import DataError, TargetError
from edgeres.preprocess import Preprocess
from edgeres.records import decode
from targets.worker import Answer, describe_error


class Decoder:
    """Image files to what contracts make of them; holds nothing between two calls."""

    def decode(self, *files: bytes, contracts: list[dict[str, Any]]) -> Answer:
        """The pixels of all files by each contract, one after the other; or which file is corrupt, and why."""
        geometries = [decode(Preprocess, each, where="a contract", error=TargetError).geometry for each in contracts]
        found: list[list[bytes]] = [[] for _ in contracts]
        for place, file in enumerate(files):
            try:
                for pixels, geometry in zip(found, geometries, strict=True):
                    pixels.append(geometry(file).tobytes())
            except DataError as error:  # noqa: PERF203 - which file it is must be known
                return {"corrupt": place, "error": describe_error(error)}, ()
        return {}, [b"".join(pixels) for pixels in found]
