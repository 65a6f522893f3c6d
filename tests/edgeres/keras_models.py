"""Small models of both generations of Keras, in files, and files that only look like models."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

SIDE, CLASSES = 8, 3
SHAPE = (SIDE, SIDE, 3)


def classifier(keras: Any, *, body: Any = None, shape: tuple[int | None, ...] = SHAPE, classes: int = CLASSES) -> Any:
    """A functional model of `keras` (either generation); `body` goes between the image and its convolution."""
    inputs = keras.Input(shape, name="photo")
    x = body(inputs) if body else inputs
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x), name="small")


def saved(model: Any, path: Path) -> Path:
    """Save a model in the format of the path's suffix."""
    model.save(path)
    return path


def edit_archive(path: Path, member: str, content: bytes | None) -> Path:
    """Replace a member of a `.keras` archive, or leave it out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if content is None:
        members.pop(member)
    else:
        members[member] = content
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in members.items():
            archive.writestr(name, value)
    return path


def edit_config(path: Path, change: Any) -> Path:
    """Change the configuration in a `.keras` archive as a hostile writer would."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    change(config)
    return edit_archive(path, "config.json", json.dumps(config).encode())
