"""What a person sees while a training runs: a line for each epoch, with the time that is left."""

from __future__ import annotations

from datetime import timedelta

from rich.console import Console

from edgeres.training.run import Epoch


class EpochLines:
    """Prints epochs to stderr as they end; used as a context so that a status line shows the one that runs."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("first epoch")

    def __enter__(self) -> EpochLines:
        self._status.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._status.stop()

    def __call__(self, epoch: Epoch, epochs: int, seconds_left: float) -> None:
        """Print one epoch."""
        left = timedelta(seconds=round(seconds_left))
        self._console.print(
            f"epoch {epoch.epoch:>3}/{epochs}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  "
            f"val {epoch.val_loss:.4f} {epoch.val_accuracy:.4f}  rate {epoch.learning_rate:.4f}  "
            f"{epoch.seconds:.0f} s, {left} left",
            soft_wrap=True,
        )
        self._status.update(f"epoch {epoch.epoch + 1}/{epochs}")
