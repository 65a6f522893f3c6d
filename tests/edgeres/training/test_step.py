"""A step is the gradient of the mean loss over the whole batch, however it is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from edgeres.training.averages import Averages
from edgeres.training.loss import Objective
from edgeres.training.optimizer import optimizer
from edgeres.training.precision import in_precision
from edgeres.training.settings import TrainingSettings
from edgeres.training.step import Step, Totals

CLASSES, SIDE = 3, 8
PLAIN = Objective(0.0, None)


def network(*, normalized: bool = False, seed: int = 0) -> Any:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="alphabeta_conv")(inputs)
    if normalized:
        x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Flatten()(keras.layers.ReLU()(x))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, name="logits")(x))


def batch(count: int, seed: int = 1) -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(seed)
    images = random.normal(size=(count, SIDE, SIDE, 3)).astype(np.float32)
    return tf.constant(images), tf.one_hot(random.integers(0, CLASSES, count), CLASSES)


def stepped(model: Any, images: tf.Tensor, targets: tf.Tensor, steps: int = 3, **options: Any) -> Totals:
    settings = TrainingSettings(warmup=0, learning_rate=0.05, **options.pop("settings", {}))
    step = Step(model, optimizer(settings, model, steps=100), options.pop("objective", PLAIN), **options)
    totals = Totals()

    @tf.function
    def run() -> None:
        step(images, targets, totals)

    for _ in range(steps):
        run()
    return totals


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("count", "parts"), [(12, 4), (10, 4), (3, 8)])
def test_accumulated_parts_are_one_large_batch(count: int, parts: int, compiled: bool) -> None:
    whole, cut = network(), network()
    settings = {"weight_decay": 0.01}
    a = stepped(whole, *batch(count), settings=settings)
    b = stepped(cut, *batch(count), settings=settings, parts=parts, compiled=compiled)
    for expected, found in zip(whole.get_weights(), cut.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-6)
    assert b.mean_loss() == pytest.approx(a.mean_loss(), rel=1e-4)
    assert a.counts()[1] == b.counts()[1] == 3 * count


def test_accumulated_parts_run_through_batch_norms_one_by_one() -> None:
    """What the equality above does not hold for, so that it is no accident where it does."""
    whole, cut = network(normalized=True), network(normalized=True)
    stepped(whole, *batch(12))
    stepped(cut, *batch(12), parts=4)
    assert not np.allclose(whole.get_weights()[0], cut.get_weights()[0], atol=1e-5)


def test_it_is_what_keras_computes() -> None:
    """The same step by `compile` and `fit`, which trained every earlier model."""
    ours, theirs = network(normalized=True), network(normalized=True)
    images, targets = batch(16)
    totals = stepped(ours, images, targets, steps=1)
    made = optimizer(TrainingSettings(warmup=0, learning_rate=0.05), theirs, steps=100)
    theirs.compile(made, keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    seen = theirs.fit(images, targets, batch_size=16, verbose=0).history
    for expected, found in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert totals.mean_loss() == pytest.approx(seen["loss"][0], rel=1e-5)
    assert totals.accuracy() == pytest.approx(seen["accuracy"][0])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_float32_weights_and_comes_near(policy: str) -> None:
    plain = network(normalized=True)
    mixed = in_precision(network(normalized=True), policy)
    a = stepped(plain, *batch(16))
    b = stepped(mixed, *batch(16), settings={"precision": policy})
    assert mixed.output.dtype == policy.removeprefix("mixed_")
    assert {weight.dtype for weight in mixed.get_weights()} == {np.dtype(np.float32)}
    assert b.mean_loss() == pytest.approx(a.mean_loss(), rel=0.05)
    exported = in_precision(mixed, "float32")
    assert exported.output.dtype == tf.float32
    assert [layer.name for layer in exported.layers] == [layer.name for layer in mixed.layers]
    for expected, found in zip(mixed.get_weights(), exported.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_weight_decay_skips_biases_and_batch_norms_and_nothing_else() -> None:
    model = network(normalized=True)
    made = optimizer(TrainingSettings(), model, steps=10)
    skipped = {weight.name for weight in model.trainable_variables if not made._use_weight_decay(weight)}
    assert skipped == {"alphabeta_conv/bias:0", "bn/gamma:0", "bn/beta:0", "logits/bias:0"}


def test_adamw_trains() -> None:
    model = network()
    before = stepped(model, *batch(16), steps=1, settings={"optimizer": "adamw"}).mean_loss()
    after = stepped(model, *batch(16), steps=10, settings={"optimizer": "adamw"}).mean_loss()
    assert after < before


def test_class_weights_scale_each_image_s_loss() -> None:
    images, targets = batch(8)
    weights = (0.0, 1.0, 3.0)
    logits = network()(images)
    plain = PLAIN(images, targets, logits).numpy()
    found = Objective(0.0, weights)(images, targets, logits).numpy()
    np.testing.assert_allclose(found, plain * np.array(weights)[np.argmax(targets, axis=1)], rtol=1e-6)


def test_averages_follow_the_weights_and_the_statistics() -> None:
    model = network(normalized=True)
    averages = Averages(model, 0.5)
    for number in range(3):
        before = [weight.copy() for weight in averages.model.get_weights()]
        model.set_weights([weight + 1 for weight in model.get_weights()])
        averages.follow(model)
        kept = min(0.5, (1 + number) / (10 + number))
        for was, now, found in zip(before, model.get_weights(), averages.model.get_weights(), strict=True):
            np.testing.assert_allclose(found, kept * was + (1 - kept) * now, rtol=1e-5, atol=1e-6)
