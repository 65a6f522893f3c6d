"""Resident memory of reading 1,000,000 small images for training, less that of reading 10,000.

    python -m benchmarks.reading [--kind tfrecord folder] [--images 1000000] [--few 10000] [--batches 200]

Each measurement is a process of its own that opens the data set, lists and looks through it, and takes batches from the
training feed. The images are PNG files of 32x32 pixels, 256 different ones: as TFRecord shards, or as hard links.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DISTINCT, CLASSES, SHARDS = 256, 10, 10
FOLDER_LINKS = 50_000
"""Names of one file: file systems allow some 65,000."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", nargs="+", choices=("tfrecord", "folder"), default=["tfrecord", "folder"])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--read", metavar="SOURCE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read(options.read, options.batches)))
        return

    from benchmarks.paired import save

    save("reading", {kind: compare(kind, options) for kind in options.kind})


def compare(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Read a small and a large set of a kind, each in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="edgeres-reading-") as temporary:
        few, many = (measured(kind, Path(temporary), count, options.batches) for count in (options.few, options.images))
    more = many["peak_bytes"] - few["peak_bytes"]
    print(f"{kind}: {options.images:,} images need {more / 1e6:.1f} MB more than {options.few:,}", flush=True)
    return {"few": few, "many": many, "more_bytes": more}


def measured(kind: str, root: Path, count: int, batches: int) -> dict[str, Any]:
    folder = root / f"{count}"
    require_room(root, count, kind)
    source = {"tfrecord": write_shards, "folder": link_files}[kind](folder, count)
    command = [sys.executable, "-m", "benchmarks.reading", "--read", source, "--batches", str(batches)]
    environment = os.environ | {"EDGERES_CACHE": str(root / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    shutil.rmtree(folder)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    print(f"{kind}, {count:,} images: {found}", flush=True)
    return found


def require_room(root: Path, count: int, kind: str) -> None:
    """Hard links take no inode, their names take space: some 100 bytes each; a record takes about 3,000."""
    needed = count * (3000 if kind == "tfrecord" else 100)
    if shutil.disk_usage(root).free < 2 * needed:
        raise SystemExit(f"{root} has less than {2 * needed:,} bytes left: set TMPDIR to another place")


def pictures() -> Iterator[bytes]:
    """PNG files of 32x32 pixels with some texture: 1 to 3 kB."""
    random = np.random.default_rng(0)
    for _ in range(DISTINCT):
        coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8)).resize(
            (32, 32), Image.Resampling.BICUBIC
        )
        buffer = io.BytesIO()
        coarse.save(buffer, format="PNG")
        yield buffer.getvalue()


def write_shards(folder: Path, count: int) -> str:
    folder.mkdir(parents=True)
    records = [framed(example(png, number % CLASSES)) for number, png in enumerate(pictures())]
    for shard in range(SHARDS):
        with (folder / f"part-{shard:05}-of-{SHARDS:05}").open("wb") as stream:
            stream.writelines(records[number % DISTINCT] for number in range(shard, count, SHARDS))
    return f"tfrecord:{folder}/part-*"


def example(image: bytes, label: int) -> bytes:
    """A tf.train.Example with the features `image` and `label`, as protobuf writes it."""

    def part(number: int, content: bytes) -> bytes:
        length, size = bytearray(), len(content)
        while size > 0x7F:
            length.append(size & 0x7F | 0x80)
            size >>= 7
        return bytes([number << 3 | 2, *length, size]) + content

    values = {b"image": part(1, part(1, image)), b"label": part(3, part(1, bytes([label])))}
    return part(1, b"".join(part(1, part(1, name) + part(2, value)) for name, value in values.items()))


def framed(data: bytes) -> bytes:
    import google_crc32c

    from edgeres.data.framing import masked

    length = struct.pack("<Q", len(data))
    crc = [struct.pack("<I", masked(google_crc32c.value(each))) for each in (length, data)]
    return length + crc[0] + data + crc[1]


def link_files(folder: Path, count: int) -> str:
    """Images of ten classes; each file has as many names as a file may have, then a copy takes over."""
    originals = list(pictures())
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
    firsts: dict[int, str] = {}
    for number in range(count):
        name = f"{folder}/class{number % CLASSES}/{number:07}.png"
        kind = number % DISTINCT
        if (number // DISTINCT) % FOLDER_LINKS == 0:
            Path(name).write_bytes(originals[kind])
            firsts[kind] = name
        else:
            os.link(firsts[kind], name)
    return f"folder:{folder}"


def read(source: str, batches: int) -> dict[str, Any]:
    """Open, look through and train from a source, as `edgeres train` does; peak resident memory of this process."""
    from edgeres.data import open_dataset
    from edgeres.preprocess import Preprocess
    from edgeres.training.feed import Fetch, training_feed

    contract, started = Preprocess(32, 32), time.perf_counter()
    dataset = open_dataset(source)
    opened = time.perf_counter()
    split = dataset.split("train")
    looked = time.perf_counter()
    feed = training_feed(
        Fetch(split, contract), split.classes, contract, batch=128, seed=0, epoch=0, augment="shift-flip"
    )
    images = sum(len(classes) for _, classes in feed.take(batches))
    read_s = time.perf_counter() - looked
    return {
        "images": len(dataset),
        "train": len(split),
        "read": images,
        "open_s": round(opened - started, 2),
        "look_s": round(looked - opened, 2),
        "read_s": round(read_s, 2),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    main()
