"""Ctrl-C between two calls into TensorFlow rather than wherever it happens to be."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

PATIENCE_S = 2.0
"""A signal acts after this time wherever TensorFlow is: tracing a deep network takes longer."""

Handler = Callable[[int, FrameType | None], Any]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_signals(patience_s: float = PATIENCE_S) -> Iterator[Callable[[], None]]:
    """Hold back SIGINT and SIGTERM until the function that this hands out is called, or the block ends.

    What Python does for a signal, it does at whatever line it is: raised inside of TensorFlow, an exception passes
    through native code that does not always survive it. A second signal acts at once, and so does the first after
    `patience_s`. Does nothing outside of the main thread, which alone has handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    usual: dict[int, Handler] = {
        number: handler for number in _SIGNALS if callable(handler := signal.getsignal(number))
    }
    held: list[int] = []
    reminders: list[threading.Timer] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)
        if len(held) > 1:
            act(frame)
            return
        reminder = threading.Timer(patience_s, os.kill, (os.getpid(), number))
        reminder.daemon = True
        reminders.append(reminder)
        reminder.start()

    def act(frame: FrameType | None = None) -> None:
        release()
        if held:
            number = held[0]
            held.clear()
            usual[number](number, frame)

    def release() -> None:
        for reminder in reminders:
            reminder.cancel()
        _install(usual)

    _install(dict.fromkeys(usual, hold))
    try:
        yield lambda: act() if held else None
    finally:
        act()


def _install(handlers: Mapping[int, Handler]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
