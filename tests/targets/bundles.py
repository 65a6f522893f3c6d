"""Bundles and folders of images for tests, made of real files around the models of `models.py`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgeres.bundle import GOLDEN, LABELS, MANIFEST, MODEL, Golden, open_bundle, write_bundle
from edgeres.compiled_file import CompiledFile, file_name
from edgeres.data import Origin
from edgeres.preprocess import Preprocess
from edgeres.records import write_json
from edgeres.results import CompilerEstimate, Operators
from edgeres.storage import sha256_bytes, sha256_file
from targets.runtimes.cpu import REFERENCE

LABELS_OF_DATA = ("ant", "bee", "cat", "dog")
CONTRACT = Preprocess(16, 16)


def write_images(folder: Path, *, each: int = 20, labels: tuple[str, ...] = LABELS_OF_DATA) -> str:
    """A folder with `each` noisy images for each label, whose colour says the class; returns the source."""
    random = np.random.default_rng(0)
    for index, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for number in range(each):
            pixels = random.integers(0, 120, (20, 16, 3)) + np.asarray([index * 40, 90, 130 - index * 30])
            Image.fromarray(pixels.astype(np.uint8)).save(folder / label / f"{number:03}.png")
    return f"folder:{folder}"


def compiled_from(model: bytes, target: str = "ethosu:u55-256") -> tuple[CompiledFile, bytes]:
    """What stands for a compiled file where its content does not matter."""
    estimate = CompilerEstimate("vela 5", "Shared_Sram", 5e8, 144_058, 109_670, 0.288, 51_888, 0, 79_184, 10)
    record = CompiledFile(
        file=file_name(target),
        target=target,
        compiler="vela 5",
        options={"accelerator": "ethos-u55-256"},
        made_of=sha256_bytes(model),
        operators=Operators(9, 9, "Ethos-U55-256", {"CONV_2D": 9}, {}),
        estimate=estimate,
    )
    return record, b"compiled for " + target.encode()


def make_bundle(
    folder: Path,
    model: bytes,
    *,
    labels: tuple[str, ...] = LABELS_OF_DATA,
    contract: Preprocess = CONTRACT,
    compiled: bool = False,
) -> Path:
    """A bundle whose golden outputs are what the reference kernels give; `compiled`: with a compiled file."""
    random = np.random.default_rng(1)
    images = tuple(random.integers(0, 256, (20, 24, 3)).astype(np.uint8) for _ in range(4))
    inputs = np.stack([contract(image) for image in images])
    with REFERENCE.open(model) as session:
        outputs = session.infer(inputs)
    describe: dict[str, Any] = {
        "name": folder.name,
        "preprocess": contract,
        "recipe": {"name": "int8"},
        "source": {},
        "data": Origin("folder", 0),
        "seeds": {},
        "versions": {},
        "inputs": {},
        "tolerance": 0.1,
    }
    golden = Golden(images, inputs, outputs, outputs)
    beside = [compiled_from(model)] if compiled else []
    write_bundle(folder, model=model, labels=labels, golden=golden, describe=describe, compiled=beside)
    return folder


def change_manifest(folder: Path, **fields: Any) -> None:
    """Rewrite fields of the manifest, as someone could who wants the bundle to lie."""
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**content, **fields}))


def rehash(folder: Path) -> None:
    """Make the manifest's hashes those of the files that are there."""
    bundle = open_bundle(folder)
    files = {name: sha256_file(folder / name) for name in (MODEL, LABELS, GOLDEN)}
    write_json(folder / MANIFEST, replace(bundle.manifest, files=files))


def change_golden(folder: Path, **arrays: np.ndarray) -> None:
    """Replace golden arrays and rehash."""
    with np.load(folder / GOLDEN) as stored:
        content = {name: stored[name] for name in stored.files}
    np.savez_compressed(folder / GOLDEN, **{**content, **arrays})
    rehash(folder)
