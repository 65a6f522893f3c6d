"""Calls that no correct program makes: each is one typed error, and the session goes on or has ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeres.errors import ArtifactError, ConfigError, DataError, EdgeresError, ModelError, TargetError
from targets.runtimes.cpu import CPU
from targets.runtimes.session import EngineSession
from tests.targets.conftest import Models

WHOLE = object()
IMAGE = np.zeros((1, 16, 16, 3), np.float32)
Misuse = tuple[Callable[[EngineSession], object], type[EdgeresError], str]


def infer(inputs: Any) -> Callable[[EngineSession], object]:
    return lambda session: session.infer(inputs)


def time(runs: Any, seconds: Any = 0) -> Callable[[EngineSession], object]:
    return lambda session: session.time(runs=runs, seconds=seconds)


def closed(call: Callable[[EngineSession], object]) -> Callable[[EngineSession], object]:
    def use(session: EngineSession) -> object:
        session.close()
        return call(session)

    return use


MISUSES: dict[str, Misuse] = {
    "no array": (infer(None), DataError, "found NoneType"),
    "a list": (infer([[1.0]]), DataError, "found list"),
    "a path": (infer("image.png"), DataError, "found str"),
    "objects": (infer(IMAGE.astype(object)), DataError, "one of object"),
    "text": (infer(IMAGE.astype("U4")), DataError, "one of <U4"),
    "records": (infer(np.zeros(IMAGE.shape, [("r", "f4")])), DataError, "found one of"),
    "complex numbers": (infer(IMAGE.astype(np.complex64)), DataError, "one of complex64"),
    "booleans": (infer(IMAGE.astype(bool)), DataError, "one of bool"),
    "one image without its batch": (infer(IMAGE[0]), ModelError, "found an array of 16x16x3"),
    "a batch too many": (infer(IMAGE[None]), ModelError, "takes images of 16x16x3"),
    "another size": (infer(IMAGE[:, :8]), ModelError, "takes images of 16x16x3"),
    "another number of channels": (infer(IMAGE[..., :1]), ModelError, "takes images of 16x16x3"),
    "channels first": (infer(IMAGE.transpose(0, 3, 1, 2)), ModelError, "takes images of 16x16x3"),
    "no number": (infer(IMAGE * np.nan), DataError, "not finite"),
    "infinite": (infer(IMAGE + np.inf), DataError, "not finite"),
    "beyond float32": (infer(IMAGE + np.float64(1e300)), DataError, "not finite"),
    "no runs": (time(0), ConfigError, "runs must be a whole number"),
    "fewer than no runs": (time(-1), ConfigError, "runs must be a whole number"),
    "half a run": (time(1.5), ConfigError, "runs must be a whole number"),
    "endless runs": (time(10**12), ConfigError, "runs must be a whole number"),
    "runs as text": (time("3"), ConfigError, "runs must be a whole number in 1…1,000,000, found '3'"),
    "seconds that are no number": (time(1, float("nan")), ConfigError, "seconds must be in"),
    "endless seconds": (time(1, float("inf")), ConfigError, "seconds must be in"),
    "negative seconds": (time(1, -1.0), ConfigError, "seconds must be in"),
    "a first run twice": (lambda s: (s.start(), s.start()), TargetError, "only before any other"),
    "a first run after another": (lambda s: (s.infer(IMAGE), s.start()), TargetError, "only before any other"),
    "run after close": (closed(infer(IMAGE)), TargetError, "has ended"),
    "time after close": (closed(time(1)), TargetError, "has ended"),
    "operators after close": (closed(lambda s: s.operators()), TargetError, "has ended"),
    "memory after close": (closed(lambda s: s.memory()), TargetError, "has ended"),
}


@pytest.mark.parametrize("case", MISUSES)
def test_a_misuse_of_a_session_is_one_typed_error(models: Models, case: str) -> None:
    call, kind, message = MISUSES[case]
    with CPU.open(models("float32")) as session, pytest.raises(EdgeresError) as caught:
        call(session)
    assert type(caught.value) is kind
    assert message in caught.value.message


def test_a_session_goes_on_after_misuses(models: Models) -> None:
    with CPU.open(models("float32")) as session:
        expected = session.infer(IMAGE)
        for call, _, _ in list(MISUSES.values())[:24]:
            with pytest.raises(EdgeresError):
                call(session)
        np.testing.assert_array_equal(session.infer(IMAGE), expected)


@pytest.mark.parametrize(
    ("model", "threads", "kind", "message"),
    [
        ("model.tflite", 1, ArtifactError, "expected the bytes of a .tflite, found str"),
        (Path("model.tflite"), 1, ArtifactError, "found PosixPath"),
        (None, 1, ArtifactError, "found NoneType"),
        (b"", 1, ArtifactError, "not a .tflite file"),
        (IMAGE, 1, ArtifactError, "found ndarray"),
        (WHOLE, 0, ConfigError, "threads must be in"),
        (WHOLE, "2", ConfigError, "threads must be in"),
        (WHOLE, 10**6, ConfigError, "threads must be in"),
    ],
)
def test_what_is_no_model_or_no_number_of_threads_opens_no_session(
    models: Models, model: Any, threads: Any, kind: type[EdgeresError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        CPU.open(models("float32") if model is WHOLE else model, threads=threads)
    assert message in caught.value.message


def test_integers_and_wider_floats_are_cast(models: Models) -> None:
    with CPU.open(models("float32")) as session:
        pixels = np.arange(768, dtype=np.uint8).reshape(IMAGE.shape)
        np.testing.assert_array_equal(session.infer(pixels), session.infer(pixels.astype(np.float64)))
