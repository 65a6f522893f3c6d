from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from edgeres.training.mixing import mixed, with_targets
from edgeres.training.settings import TrainingSettings

COUNT, SIDE, CLASSES = 64, 8, 4


def feed() -> tf.data.Dataset:
    """Each image is one-coloured, in the number of its class: what was mixed shows in the pixels."""
    classes = np.arange(COUNT) % CLASSES
    images = np.repeat(classes, SIDE * SIDE * 3).reshape(COUNT, SIDE, SIDE, 3).astype(np.float32)
    return with_targets(tf.data.Dataset.from_tensor_slices((images, classes)).batch(16), CLASSES)


def seen(epoch: int = 0, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    batches = list(mixed(feed(), TrainingSettings(**settings), epoch=epoch))
    return tuple(np.concatenate([part.numpy() for part in parts]) for parts in zip(*batches, strict=True))  # type: ignore[return-value]


def test_nothing_is_mixed_unless_asked() -> None:
    images, targets = seen()
    np.testing.assert_array_equal(targets.argmax(axis=1), images[:, 0, 0, 0])
    assert set(np.unique(targets)) == {0.0, 1.0}


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_targets_share_as_the_pixels_do(kind: str) -> None:
    images, targets = seen(**{kind: 1.0})
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), targets @ np.arange(CLASSES), atol=1e-4)
    assert np.count_nonzero((targets > 0).sum(axis=1) == 2) > COUNT / 4
    whole_values = set(np.unique(images)) <= set(range(CLASSES))
    assert whole_values == (kind == "cutmix")  # cutmix never blends two pixels


@pytest.mark.slow
def test_both_take_turns_and_the_probability_counts() -> None:
    def blended(**settings: Any) -> list[str]:
        found = []
        for epoch in range(12):
            images, targets = seen(epoch, **settings)
            for start in range(0, COUNT, 16):
                part = slice(start, start + 16)
                fractional = not set(np.unique(images[part])) <= set(range(CLASSES))
                found.append("mixup" if fractional else "cutmix" if (targets[part] % 1).any() else "none")
        return found

    both = blended(mixup=1.0, cutmix=1.0)
    assert both.count("mixup") > 12
    assert both.count("cutmix") > 12
    assert blended(mixup=1.0, mix_probability=0.0).count("none") == 48
    assert 8 < blended(mixup=1.0, mix_probability=0.5).count("none") < 40


def test_seed_and_epoch_fix_what_is_mixed() -> None:
    first, same = seen(2, mixup=0.4, cutmix=1.0), seen(2, mixup=0.4, cutmix=1.0)
    np.testing.assert_array_equal(first[0], same[0])
    assert not np.array_equal(seen(3, mixup=0.4, cutmix=1.0)[0], first[0])
    assert not np.array_equal(seen(2, mixup=0.4, cutmix=1.0, seed=1)[0], first[0])
