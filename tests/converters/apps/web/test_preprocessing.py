"""The page's preprocessing gives what Python's gives, to the bit, for every contract, picture and size."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from converters.apps.embedding import embed
from converters.apps.golden_file import packed
from edgeres.bundle import open_bundle
from tests.converters.apps.c.test_preprocessing import images
from tests.converters.apps.conftest import CONTRACTS, Made
from tests.targets.bundles import LABELS_OF_DATA

PREPARE = """
import { readFileSync, writeSync } from "node:fs";
const { prepared } = await import(process.argv[1] + "/preprocess.js");
const { preprocess } = JSON.parse(readFileSync(process.argv[1] + "/app.json"));
const file = readFileSync(process.argv[2]);
for (let at = 12, left = file.readInt32LE(8); left > 0; left--) {
  const [height, width] = [file.readInt32LE(at), file.readInt32LE(at + 4)];
  const data = new Uint8Array(file.buffer, file.byteOffset + at + 8, width * height * 3);
  at += 8 + data.length;
  const bytes = Buffer.from(prepared({ width, height, data }, preprocess).buffer);
  for (let from = 0; from < bytes.length; ) from += writeSync(1, bytes, from);
}
"""


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_bit_is_pythons(contract: str, made: Made, pictures: Path, node: str, tmp_path: Path) -> None:
    gray = contract == "gray"
    bundle = made("gray", contract) if gray else made("fifty", contract, LABELS_OF_DATA[:1] * 50)
    embed(bundle, "web", tmp_path / "app")
    preprocess = open_bundle(bundle).manifest.preprocess
    pixels = [np.asarray(image) for image in images(pictures, exif=preprocess.exif)]
    nothing = np.empty((len(pixels), 0), np.float32)
    (tmp_path / "images.bin").write_bytes(packed(pixels, nothing, nothing))
    command = [node, "--input-type=module", "--eval", PREPARE, str(tmp_path / "app"), str(tmp_path / "images.bin")]
    found = subprocess.run(command, capture_output=True, check=True).stdout
    expected = np.stack([preprocess(image) for image in pixels])
    np.testing.assert_array_equal(np.frombuffer(found, "<f4").reshape(expected.shape), expected)
    assert len(np.unique(expected, axis=0)) > 3
