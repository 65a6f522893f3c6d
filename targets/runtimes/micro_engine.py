"""The engine in the child for TFLite Micro, and the search for the smallest arena in which a model runs.

An arena that is too small can crash the interpreter instead of being refused. Therefore every attempt is made in a
process of its own, forked from this one: what it wrote, and how it ended, is its result.
"""

from __future__ import annotations

import importlib
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import ModelError, TargetError
from targets.worker import Answer

ALIGNMENT = 16
"""Bytes: the interpreter aligns all that it places to this, so that a finer search finds nothing."""

MAX_ARENA = 1 << 30
_ROOM = 1 << 20
_REFUSED, _ANOTHER_ANSWER = 1, 3
_TOO_SMALL = re.compile(r"Failed to (?:allocate|resize)")


@dataclass(frozen=True)
class Attempt:
    """How an attempt ended: `code` as `os.waitstatus_to_exitcode` gives it, and the lines that the runtime wrote."""

    code: int
    lines: tuple[str, ...]

    @property
    def too_small(self) -> bool:
        """Whether a larger arena may help: it was asked for, or the runtime crashed."""
        return self.code < 0 or any(map(_TOO_SMALL.search, self.lines))


class Engine:
    """One model on one interpreter of TFLite Micro."""

    def __init__(self) -> None:
        try:
            self._runtime = importlib.import_module("tflite_micro").runtime
        except (ImportError, OSError) as error:
            raise TargetError(f"TFLite Micro cannot be loaded: {error}", fix="pip install 'edgeres[micro]'") from error

    def load(self, model: bytes, *, arena_bytes: int) -> Answer:
        """Load a model with more than enough arena; returns its signature. `arena_bytes`: what it needs at least."""
        self._model = model
        self._room = self._enough(arena_bytes)
        self._interpreter = self._open(self._room)
        self._input, self._output = self._interpreter.get_input_details(0), self._interpreter.get_output_details(0)
        self._sample = np.random.default_rng(0).integers(0, 127, self._input["shape"]).astype(self._input["dtype"])
        return {**_port("input", self._input), **_port("output", self._output)}, ()

    def infer(self, batch: bytes) -> Answer:
        """Run stored inputs, one after the other; returns the stored outputs, one after the other."""
        shape, dtype = self._input["shape"], np.dtype(self._input["dtype"])
        size = int(np.prod(shape)) * dtype.itemsize
        if not batch or len(batch) % size:
            raise ModelError(f"expected a multiple of {size:,} bytes as input, found {len(batch):,}")
        images = np.frombuffer(batch, dtype).reshape(-1, *shape)
        return {}, (b"".join(_run(self._interpreter, image) for image in images),)

    def arena(self) -> Answer:
        """The smallest arena in which the model loads, and gives the answer that it gives with room to spare."""
        expected = _run(self._open(self._room), self._sample)

        def loads(_: Any) -> int:
            return 0

        def answers(interpreter: Any) -> int:
            return 0 if _run(interpreter, self._sample) == expected else _ANOTHER_ANSWER

        # Invoking a large network takes seconds: first where loading ends, then whether it also runs there.
        found = self._smallest(loads, 0, self._room)
        if self._attempt(found, answers).code:
            found = self._smallest(answers, found, self._room)
        return {"arena_bytes": found}, ()

    def _smallest(self, use: Callable[[Any], int], too_small: int, enough: int) -> int:
        """By bisection between two multiples of the alignment; `use` succeeds at `enough`."""
        while enough - too_small > ALIGNMENT:
            middle = (too_small + enough) // (2 * ALIGNMENT) * ALIGNMENT
            if self._attempt(middle, use).code:
                too_small = middle
            else:
                enough = middle
        return enough

    def _enough(self, arena_bytes: int) -> int:
        """An arena in which the model runs.

        Raises:
            TargetError: there is none; its details are what the runtime wrote.
        """
        room = -(-(4 * arena_bytes + _ROOM) // ALIGNMENT) * ALIGNMENT

        def runs(interpreter: Any) -> int:
            interpreter.set_input(np.zeros(**_form(interpreter.get_input_details(0))), 0)
            interpreter.invoke()
            return 0

        while (attempt := self._attempt(room, runs)).code:
            if not attempt.too_small or room >= MAX_ARENA:
                raise TargetError("TFLite Micro does not run the model", details=attempt.lines)
            room *= 4
        return room

    def _open(self, arena_bytes: int) -> Any:
        return self._runtime.Interpreter.from_bytes(self._model, arena_size=arena_bytes)

    def _attempt(self, arena_bytes: int, use: Callable[[Any], int]) -> Attempt:
        """Load the model into an arena in a process forked for it, and `use` it there; 0 stands for success."""
        with tempfile.TemporaryFile() as written:
            process = os.fork()
            if process == 0:
                self._attempt_here(arena_bytes, use, written)
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            written.seek(0)
            text = written.read(1 << 16).decode("utf-8", errors="replace")
        return Attempt(code, tuple(line.strip() for line in text.splitlines() if line.strip())[-20:])

    def _attempt_here(self, arena_bytes: int, use: Callable[[Any], int], written: BinaryIO) -> NoReturn:
        code = _REFUSED
        try:
            for descriptor in (1, 2):
                os.dup2(written.fileno(), descriptor)
            code = use(self._open(arena_bytes))
        except (RuntimeError, ValueError):
            pass  # the runtime has written why
        finally:
            os._exit(code)


def _run(interpreter: Any, image: NDArray[Any]) -> bytes:
    interpreter.set_input(image, 0)
    interpreter.invoke()
    return bytes(interpreter.get_output(0).tobytes())


def _form(details: dict[str, Any]) -> dict[str, Any]:
    return {"shape": [int(size) for size in details["shape"]], "dtype": np.dtype(details["dtype"])}


def _port(noun: str, details: dict[str, Any]) -> dict[str, Any]:
    form, scaling = _form(details), details["quantization_parameters"]
    return {
        f"{noun}_shape": form["shape"],
        f"{noun}_dtype": form["dtype"].name,
        f"{noun}_scale": float(scaling["scales"][0]) if len(scaling["scales"]) else 0.0,
        f"{noun}_zero_point": int(scaling["zero_points"][0]) if len(scaling["zero_points"]) else 0,
    }
