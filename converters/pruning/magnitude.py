"""Magnitude pruning by tfmot: kernels become sparse while the network is fine-tuned; their shapes stay.

What it buys is a file that compresses better. It is not faster on kernels that multiply by zero as by anything else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from converters.finetuning import fine_tune, gives_logits
from converters.job import Job, require_classes
from converters.pruning.wanted import wanted_sparsity
from converters.steps import PruneStep
from edgeres.errors import ModelError
from edgeres.keras_file import ModelCard, read_keras_file
from edgeres.keras_io import load_prunable, model_bytes
from edgeres.native_output import muted

_POOLING = {"average": "AVG", "max": "MAX"}


def prune(model: Any, settings: PruneStep, job: Job, state: Path) -> Any:
    """Fine-tune a tf_keras model until each kernel has its zeros: a new, stripped model.

    `state`: the folder from which a killed fine-tuning goes on, see `fine_tune`.

    Raises:
        ConfigError: `layers` does not fit the model, see `wanted_sparsity`.
        ModelError: a layer that tfmot cannot wrap, or a loss that became NaN.
        DataError: an image cannot be decoded.
    """
    steps = math.ceil(len(job.dataset.split("train")) / settings.batch)
    masked = _masked(model, wanted_sparsity(model, settings), settings, steps)
    update = tfmot.sparsity.keras.UpdatePruningStep()
    fine_tune(masked, settings, job, state=state, logits=gives_logits(model), callbacks=[update])
    return tfmot.sparsity.keras.strip_pruning(masked)


def run(settings: PruneStep, job: Job, source: Path, state: Path) -> bytes:
    """The pipeline's step: a Keras file to a pruned `.keras` file that carries the same card.

    Raises:
        ModelError: a model that cannot be rebuilt in tf_keras, or see `prune`.
    """
    file = read_keras_file(source, trust=job.file.trusted)
    model = load_prunable(file)
    require_classes(model.output_shape[-1], job)
    with muted():
        pruned = prune(model, settings, job, state)
    card = file.card or ModelCard(preprocess=job.contract, labels=job.dataset.labels)
    return model_bytes(pruned, card=card)


def sparsity(model: Any) -> dict[str, float]:
    """Fraction of zeros in each convolution's and dense layer's kernel, by layer name."""
    found = {}
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            found[layer.name] = float(np.mean(kernel.numpy() == 0))
    return found


def _masked(model: Any, wanted: Mapping[str, float], settings: PruneStep, steps: int) -> Any:
    """The model with those layers wrapped that are to have zeros.

    tfmot's own function wraps all layers, hence refuses a model for a Rescaling in it, where there is nothing to prune.
    """

    def wrap(layer: Any) -> Any:
        if layer.name not in wanted:
            return layer
        options = {"pruning_schedule": _schedule(settings, wanted[layer.name], steps)}
        if settings.pattern == "2:4":
            options["sparsity_m_by_n"] = (2, 4)
        if settings.pattern == "block":
            options |= {"block_size": settings.block_size, "block_pooling_type": _POOLING[settings.block_pooling]}
        try:
            return tfmot.sparsity.keras.prune_low_magnitude(layer, **options)
        except ValueError as problem:
            raise ModelError(
                f"tfmot cannot prune the layer '{layer.name}' ({type(layer).__name__})",
                details=(str(problem).splitlines()[0],),
                fix=f"leave it dense: --set 'prune.layers={{{layer.name}: 0}}'",
            ) from problem

    return keras.models.clone_model(model, clone_function=wrap)


def _schedule(settings: PruneStep, sparsity: float, steps: int) -> Any:
    """Sparsity over the steps of all epochs, `steps` each: a cubic rise that ends on a step that updates masks.

    tfmot updates masks at multiples of `frequency` only: an end between two of them would never be reached. Masks of
    2:4 it sets once, in the first step, whatever the schedule.
    """
    total, frequency = steps * settings.epochs, max(1, min(100, steps // 4))
    rises = min((total - 1) // frequency, max(1, round(total * settings.ramp / frequency)))
    if not rises or settings.pattern == "2:4":
        return tfmot.sparsity.keras.ConstantSparsity(sparsity, begin_step=0, frequency=1)
    return tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=sparsity,
        begin_step=0,
        end_step=rises * frequency,
        frequency=frequency,
    )
