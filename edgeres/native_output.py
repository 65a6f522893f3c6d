"""Keeping what native libraries write out of the user's terminal: TensorFlow's start-up lines, MLIR's remarks."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from edgeres.registry import resolve

_LOG = logging.getLogger(__name__)


@contextmanager
def muted() -> Iterator[None]:
    """Divert stdout and stderr, Python's and the process', to the debug log, so that stdout holds results only.

    Python's are others than the process' in a notebook. Whatever was written is logged (seen with `edgeres -v`) also
    where the block raises.
    """
    printed = io.StringIO()
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            with redirect_stdout(printed), redirect_stderr(printed):
                yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            sink.seek(0)
            if text := (printed.getvalue() + sink.read().decode(errors="replace")).strip():
                _LOG.debug("native output: %s", text)


def resolve_muted(reference: str) -> Any:
    """Resolve a `"module:attribute"` whose import may bring in TensorFlow, without its greeting."""
    with muted():
        return resolve(reference)
