"""What a person sees while a training runs: a line for each epoch, and how far the one that runs has come."""

from __future__ import annotations

import time
from datetime import timedelta

from rich.console import Console

from edgeres.training.run import Epoch


class EpochLines:
    """Prints epochs to stderr as they end; used as a context, so that a status line shows the one that runs."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("starting")
        self._began: tuple[float, int] | None = None  # when the first call within an epoch came, and steps done then

    def __enter__(self) -> EpochLines:
        self._status.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._status.stop()

    def __call__(self, epoch: Epoch, epochs: int, seconds_left: float) -> None:
        """Print one epoch."""
        left = f", {timedelta(seconds=round(seconds_left))} left" if epoch.epoch < epochs else ""
        self._console.print(
            f"epoch {epoch.epoch:>3}/{epochs}  loss {epoch.loss:.3f}  accuracy {epoch.accuracy:.1%}  "
            f"validation {epoch.val_loss:.3f} {epoch.val_accuracy:.1%}  rate {epoch.learning_rate:.2g}  "
            f"{epoch.seconds:.0f} s{left}",
            soft_wrap=True,
        )
        self._began = None
        self._status.update(f"epoch {epoch.epoch + 1}/{epochs}" if epoch.epoch < epochs else "measuring")

    def within(self, epoch: int, done: int, steps: int, images_per_second: float) -> None:
        """Show the epoch that runs: steps that are done, speed, and the time that training it still takes."""
        self._status.update(f"epoch {epoch}/{self._epochs}  {self._words(done, steps, images_per_second)}")

    def _words(self, done: int, steps: int, images_per_second: float) -> str:
        now = time.monotonic()
        if self._began is None:
            self._began = now, done
            return f"step {done}/{steps}"
        since, first = self._began
        left = timedelta(seconds=round((now - since) / max(1, done - first) * (steps - done)))
        return f"step {done}/{steps}  {images_per_second:,.0f} images/s  {left} left in this epoch"
