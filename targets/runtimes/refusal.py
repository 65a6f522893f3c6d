"""What a runtime's bindings raise, as an error that says what was attempted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgeres.errors import TargetError


@contextmanager
def refusal(problem: str) -> Iterator[None]:
    """Turn what the runtime's bindings raise into a TargetError that begins with `problem`."""
    try:
        yield
    except (ValueError, RuntimeError, SystemError, ImportError, OSError, AttributeError) as error:
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        raise TargetError(f"{problem}: {reason}", fix="choose another target, or update the runtime") from error
