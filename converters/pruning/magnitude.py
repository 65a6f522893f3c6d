"""Magnitude pruning by tfmot: kernels become sparse while the network is fine-tuned; their shapes stay.

What it buys is a file that compresses better. It is not faster on kernels that multiply by zero as by anything else.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from converters.job import Job, require_classes
from converters.recipe import PruneStep
from edgeres.errors import ModelError
from edgeres.keras_file import ModelCard, read_keras_file
from edgeres.keras_io import load_prunable, save_model
from edgeres.native_output import muted
from edgeres.training.feed import Fetch, augmentation, training_feed, typed_failures


def prune(model: Any, settings: PruneStep, job: Job) -> Any:
    """Fine-tune a tf_keras model until each kernel has `settings.sparsity` zeros: a new, stripped model.

    Raises:
        ModelError: a layer that tfmot cannot wrap, or a loss that became NaN.
        DataError: an image cannot be decoded.
    """
    keras.utils.set_random_seed(job.seed)
    split = job.dataset.split("train")
    steps = math.ceil(len(split) / settings.batch)
    try:
        masked = _masked(model, _schedule(settings, steps))
    except ValueError as problem:
        raise ModelError(
            f"tfmot cannot prune this model: {str(problem).splitlines()[0]}", fix="use the recipe int8, without pruning"
        ) from problem
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps * settings.epochs)
    masked.compile(
        optimizer=keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=_gives_logits(model)),
        metrics=["accuracy"],
    )
    fetch = Fetch(split, job.contract)
    update = tfmot.sparsity.keras.UpdatePruningStep()
    for epoch in range(settings.epochs):
        feed = training_feed(
            fetch,
            split.classes,
            job.contract,
            batch=settings.batch,
            seed=job.seed,
            epoch=epoch,
            augment=augmentation("auto", job.dataset),
        )
        with typed_failures(fetch):
            seen = masked.fit(feed, verbose=0, callbacks=[update]).history
        if not math.isfinite(seen["loss"][0]):
            raise ModelError("the loss became infinite while pruning", fix="lower --set prune.learning_rate=…")
        job.progress("fine-tuning epochs", epoch + 1, settings.epochs)
    return tfmot.sparsity.keras.strip_pruning(masked)


def run(settings: PruneStep, job: Job, source: Path) -> bytes:
    """The pipeline's step: a Keras file to a pruned `.keras` file that carries the same card.

    Raises:
        ModelError: a model that cannot be rebuilt in tf_keras, or see `prune`.
    """
    file = read_keras_file(source, trust=job.file.trusted)
    model = load_prunable(file)
    require_classes(model.output_shape[-1], job)
    with muted():
        pruned = prune(model, settings, job)
    card = file.card or ModelCard(preprocess=job.contract, labels=job.dataset.labels)
    with tempfile.TemporaryDirectory(prefix="edgeres-prune-") as folder:
        place = Path(folder) / "pruned.keras"
        save_model(pruned, place, card=card)
        return place.read_bytes()


def sparsity(model: Any) -> dict[str, float]:
    """Fraction of zeros in each convolution's and dense layer's kernel, by layer name."""
    found = {}
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            found[layer.name] = float(np.mean(kernel.numpy() == 0))
    return found


def _masked(model: Any, schedule: Any) -> Any:
    """The model with every layer wrapped that has a kernel.

    tfmot's own function wraps all layers, hence refuses a model for a Rescaling in it, where there is nothing to prune.
    """

    def wrap(layer: Any) -> Any:
        if all(len(weight.shape) < 2 for weight in layer.trainable_weights):
            return layer
        return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)

    return keras.models.clone_model(model, clone_function=wrap)


def _schedule(settings: PruneStep, steps: int) -> Any:
    """Sparsity over the steps of all epochs, `steps` each: a cubic rise that ends on a step that updates masks.

    tfmot updates masks at multiples of `frequency` only: an end between two of them would never be reached.
    """
    total, frequency = steps * settings.epochs, max(1, min(100, steps // 4))
    rises = min((total - 1) // frequency, max(1, round(total * settings.ramp / frequency)))
    if not rises:
        return tfmot.sparsity.keras.ConstantSparsity(settings.sparsity, begin_step=0, frequency=1)
    return tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=settings.sparsity,
        begin_step=0,
        end_step=rises * frequency,
        frequency=frequency,
    )


def _gives_logits(model: Any) -> bool:
    """Whether the last layer has no softmax of its own."""
    activation = getattr(model.layers[-1], "activation", None)
    return getattr(activation, "__name__", "") != "softmax" and not isinstance(model.layers[-1], keras.layers.Softmax)
