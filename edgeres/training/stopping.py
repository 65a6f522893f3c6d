"""Early stopping: which epoch was the best, and whether it is long enough ago."""

from __future__ import annotations

from edgeres.training.run import History
from edgeres.training.settings import TrainingSettings


def best_epoch(history: History) -> int:
    """The epoch with the least validation loss, the first of several."""
    return min(history.epochs, key=lambda epoch: epoch.val_loss).epoch


def has_stopped(history: History, settings: TrainingSettings) -> bool:
    """Whether as many epochs as `patience` have gone by without a better one; those with frozen layers do not count."""
    if not (settings.patience and history.epochs):
        return False
    since = max(best_epoch(history), settings.transfer.freeze_epochs)
    return history.epochs[-1].epoch - since >= settings.patience
