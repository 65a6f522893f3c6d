"""How a long measurement tells how far it is: a callable that libraries call and a command shows on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What a measurement calls at every step."""

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Tell what is being done, how many steps of it are done, and how many there are."""


def silent(stage: str, done: int, total: int, /) -> None:
    """Show nothing."""


@contextmanager
def shown() -> Iterator[Progress]:
    """A bar for each stage on stderr, with the time left; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        yield silent
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int, /) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show
