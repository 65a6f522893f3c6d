"""Images that claim or unpack to far more than their file: seconds and memory until each is refused.

    python -m benchmarks.bombs

Each in a process of its own, so that its memory is its own. Writes `benchmarks/results/bombs.json`.
"""

from __future__ import annotations

import argparse
import io
import json
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.paired import save
from edgeres.errors import DataError
from edgeres.preprocess import open_image

ZEROS = 200 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help="open one in this process (used by the benchmark itself)")
    options = parser.parse_args()
    bombs = _bombs()
    if options.one:
        print(json.dumps(_opened(bombs[options.one])))
        return
    rows = {}
    for name in bombs:
        command = [sys.executable, "-m", "benchmarks.bombs", "--one", name]
        rows[name] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(name, rows[name], flush=True)
    slowest = max(row["seconds"] for row in rows.values())
    grown = max(row["grown_bytes"] for row in rows.values())
    refused = sum(row["refused"] for row in rows.values())
    save("bombs", {"bombs": len(rows), "refused": refused, "slowest_s": slowest, "grown_bytes": grown, "rows": rows})


def _opened(content: bytes) -> dict[str, Any]:
    """Seconds, and by how much the resident memory grew at its peak."""
    Image.init()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before, began, said = _memory("VmRSS"), time.perf_counter(), ""
    try:
        open_image(content)
    except DataError as error:
        said = error.message
    seconds = time.perf_counter() - began
    grown = max(0, _memory("VmHWM") - before)
    return {
        "bytes": len(content),
        "seconds": round(seconds, 3),
        "grown_bytes": grown,
        "refused": bool(said),
        "said": said[:80],
    }


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


def _bombs() -> dict[str, bytes]:
    packed = zlib.compress(bytes(ZEROS), 9)
    frame = struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x4c\x01\x00;"
    return {
        "png: 60000 x 60000": _png(60000, 60000),
        "png: as many pixels as accepted, none there": _png(8000, 8000),
        "png: as many pixels as accepted, all there": _file("PNG", 8000, 8000),
        "png: one column": _png(1, 64_000_000),
        "png: 16 bits, four channels": _png(8000, 8000, depth=16, kind=6),
        "png: text": _png(8, 8, _chunk(b"zTXt", b"a\0\0" + packed)),
        "png: colour profile": _png(8, 8, _chunk(b"iCCP", b"a\0\0" + packed)),
        "png: international text": _png(8, 8, _chunk(b"iTXt", b"a\0\1\0\0\0" + packed)),
        "ppm: 60000 x 60000": b"P6 60000 60000 255\n",
        "ppm: 16 bits": b"P6 8000 8000 65535\n" + bytes(100),
        "gif: canvas": b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0" + bytes(6) + b"," + frame,
        "gif: frame": b"GIF89a" + struct.pack("<HH", 8, 8) + b"\x80\0\0" + bytes(6) + b"," + frame,
        "jpeg: 65535 x 65535": _patched("JPEG", b"\xff\xc0", 5, struct.pack(">HH", 65535, 65535)),
        "bmp: 60000 x 60000": _patched("BMP", b"BM", 18, struct.pack("<ii", 60000, 60000)),
        "webp: 16383 x 3900": _file("WEBP", 16383, 3900),
    }


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(width: int, height: int, extra: bytes = b"", *, depth: int = 8, kind: int = 2) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + _chunk(b"IDAT", zlib.compress(b"\0")) + _chunk(b"IEND", b"")


def _file(kind: str, width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (width, height)).save(content, kind)
    return content.getvalue()


def _patched(kind: str, mark: bytes, offset: int, value: bytes) -> bytes:
    content = bytearray(_file(kind, 8, 8))
    start = content.index(mark) + offset
    content[start : start + len(value)] = value
    return bytes(content)


if __name__ == "__main__":
    main()
