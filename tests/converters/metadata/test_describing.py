from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from converters.metadata.describing import _FLOAT_ENDS, COMPLETE, described
from edgeres.bundle import open_bundle
from edgeres.console import run
from tests.converters.apps.conftest import CONTRACTS
from tests.targets.conftest import Models, model_folder, models  # noqa: F401 - fixtures
from tests.trained import Trained

LABELS = ("ant", "bee", "cat", "dog")


def told(model: bytes, contract: str, **changes: object) -> str:
    made, told_ = described(model, name="n", contract=replace(CONTRACTS[contract], **changes), labels=LABELS)
    assert (made == model) == told_.startswith("none")
    return told_


@pytest.mark.parametrize(
    ("model", "contract", "changes", "expected"),
    [
        ("float32", "symmetric", {}, COMPLETE),
        (
            "float32",
            "torch",
            {},
            "in part: MediaPipe takes one mean and one deviation for all channels, and refuses others",
        ),
        ("dynamic_int8", "unit", {}, COMPLETE),
        ("int8", "raw", {}, f"in part: clients take float32 or uint8 inputs, not int8 ({_FLOAT_ENDS})"),
        ("float32", "crop", {"mean": (0.5,)}, "in part: clients stretch the whole image, the contract says crop"),
        ("float32", "caffe", {}, "none: clients give RGB images, the model takes bgr"),
        ("gray", "gray", {}, "none: clients give RGB images, the model takes gray"),
        ("float32", "raw", {"std": (-1.0,)}, "none: the schema knows no negative deviation"),
    ],
)
def test_what_is_told_and_why_not(
    model: str,
    contract: str,
    changes: dict[str, object],
    expected: str,
    models: Models,  # noqa: F811
) -> None:
    assert told(models(model), contract, **changes) == expected


def test_a_uint8_input_that_is_no_pixel_is_not_called_one(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    options = ["--set", "quantize.io=uint8", "--data", "digits", "--out", str(out)]
    assert run(["convert", str(trained.model), "--recipe", "int8", *options]) == 0
    bundle = open_bundle(out)
    assert bundle.manifest.metadata == COMPLETE
    # The same input, said to be of another contract: 0 and 255 are other steps then.
    made, told_ = described(
        bundle.read("model.tflite"),
        name="n",
        contract=replace(bundle.manifest.preprocess, scale=1 / 255),
        labels=bundle.labels,
    )
    assert told_.startswith("none: clients give the pixels as they are, the model's uint8 input is scaled otherwise")
    assert made == bundle.read("model.tflite")
