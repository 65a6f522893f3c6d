"""The bound on every failure of a device: its time limit, and five seconds to end what runs there and to say so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SLACK_SECONDS = 5.0


@contextmanager
def told_within(limit: float) -> Iterator[None]:
    """What is done inside has ended within its time limit and five seconds.

    Not a measurement of speed: a failure that is told too late is a hang. Set-up belongs outside.
    """
    began = time.monotonic()
    yield
    spent = time.monotonic() - began
    assert spent <= limit + SLACK_SECONDS, f"told after {spent:.1f} s, with a time limit of {limit:g} s"
