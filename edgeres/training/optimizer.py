"""The optimizer that settings name."""

from __future__ import annotations

from typing import Any

import tf_keras as keras

from edgeres.training.schedules import schedule
from edgeres.training.settings import TrainingSettings

_UNDECAYED = ("bias", "gamma", "beta")


def optimizer(settings: TrainingSettings, model: Any, *, steps: int) -> Any:
    """SGD with Nesterov momentum, or AdamW (Loshchilov & Hutter, 2019), its slots made for every weight of `model`.

    Weight decay skips biases and batch norms. Keras' decay is decoupled from momentum, so for SGD it is scaled to act
    as an L2 penalty. With float16 the loss is scaled, for its gradients would vanish. `steps`: of an epoch.
    """
    rate = schedule(settings, steps)
    if settings.optimizer == "sgd":
        decay = settings.weight_decay / (1 - settings.momentum)
        made = keras.optimizers.SGD(
            rate, momentum=settings.momentum, nesterov=settings.momentum > 0, weight_decay=decay
        )
    else:
        made = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    # By variable: Keras would match a name anywhere, and spare the kernel of a layer called "alphabeta".
    made.exclude_from_weight_decay(
        var_list=[weight for weight in model.trainable_variables if _own_name(weight) in _UNDECAYED]
    )
    if settings.precision == "mixed_float16":
        made = keras.mixed_precision.LossScaleOptimizer(made)
    made.build(model.trainable_variables)
    return made


def _own_name(variable: Any) -> str:
    """`gamma` of `stage1_block0_bn1/gamma:0`."""
    return str(variable.name).rpartition("/")[2].partition(":")[0]
