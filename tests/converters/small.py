"""A residual network of one block and the folder of images that it is fine-tuned on: seconds, not minutes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tf_keras
from tf_keras import layers

from converters.job import Job
from edgeres.contracts import contract_for
from edgeres.data import open_dataset
from edgeres.keras_file import read_keras_file
from tests.edgeres.keras_models import saved
from tests.targets.bundles import write_images

LABELS = ("ant", "bee", "cat")


def network() -> Any:
    """From 8x8 pixels to three logits; `stem`, `left`, `right`, `side` (1x1), `hidden` and `logits` have kernels."""
    tf_keras.utils.set_random_seed(1)
    image = tf_keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", name="stem")(x)))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(12, 3, padding="same", name="left")(x)))
    y = layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same", name="right")(y))
    side = layers.BatchNormalization()(layers.Conv2D(16, 1, name="side")(x))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Add()([side, y])))
    x = layers.Dense(16, activation="relu", name="hidden")(x)
    return tf_keras.Model(image, layers.Dense(len(LABELS), name="logits")(x), name="small")


def small_job(folder: Path, model: Any = None) -> Job:
    """The network (or another `model`) in a file, and images for it; the same ones each time for the same folder."""
    if not (folder / "images").exists():
        write_images(folder / "images", labels=LABELS)
        saved(network() if model is None else model, folder / "small.keras")
    file = read_keras_file(folder / "small.keras")
    return Job(file, open_dataset(f"folder:{folder / 'images'}"), contract_for(file, "raw"))


if __name__ == "__main__":  # for a test that kills the process
    from converters.pipeline import run
    from converters.recipe import load_recipe

    run(small_job(Path(sys.argv[1])), load_recipe(sys.argv[2]))
