"""Addresses of this machine that nobody listens at."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing


def free_addresses(count: int) -> list[str]:
    with ExitStack() as open_ones:
        found = [open_ones.enter_context(closing(socket.socket())) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in found]
