"""Results made by the real statistics from raw samples that a test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeres.results import Accuracy, ArtifactResult, DataRecord, Latency, Memory, Result
from edgeres.storage import sha256_bytes
from targets import latency
from targets.predictions import Batch, Predictions
from targets.scoring import score

LABELS = ("ant", "bee", "cat")


def truth(n: int) -> np.ndarray:
    return np.arange(n) % len(LABELS)


def scores(n: int, *, wrong: Sequence[int] = (), sure: float = 0.9) -> np.ndarray:
    """Probabilities float32 (n, 3) that are right but for the images `wrong`."""
    taken = truth(n).copy()
    taken[list(wrong)] = (taken[list(wrong)] + 1) % len(LABELS)
    rest = (1 - sure) / 2
    return (np.eye(len(LABELS)) * (sure - rest) + rest)[taken].astype(np.float32)


def accuracies(n: int, *wrong: Sequence[int], margin_points: float = 1.0) -> list[Accuracy]:
    """The accuracy of several models that are wrong about these images; the first is the baseline."""
    said, batches = [Predictions() for _ in wrong], []
    for own, one in zip(said, wrong, strict=True):
        given = scores(n, wrong=one)
        batches.append(Batch(given, own.add(given, truth(n)), own.kind))
        if own is not said[0]:
            own.compare(batches[-1], batches[0], truth(n), "shades[{}]".format)
    return [
        score(own, truth(n), classes=3, baseline=said[0] if place else None, margin_points=margin_points)
        for place, own in enumerate(said)
    ]


def latencies(*ms: float, spread: float = 0.05, rounds: int = 30, threads: int = 1) -> list[Latency]:
    """The latency of several models with these times; the first is the baseline."""
    random = np.random.default_rng(0)
    measured = [
        tuple(tuple(np.round(one * random.lognormal(0, spread, 3), 6).tolist()) for _ in range(rounds)) for one in ms
    ]
    return [
        latency.summarize(own, threads=threads, baseline=measured[0] if place else None)
        for place, own in enumerate(measured)
    ]


def record(n: int, sha256: str = "d" * 64) -> DataRecord:
    return DataRecord("shades", "test", n, sha256, labels=LABELS, truth=tuple(truth(n).tolist()))


def artifact(name: str, *, size_bytes: int = 1000, baseline: bool = False, **parts: object) -> ArtifactResult:
    fields = {"path": f"bundles/{name}", "sha256": sha256_bytes(name.encode()), "target": "cpu", **parts}
    return ArtifactResult(name=name, size_bytes=size_bytes, baseline=baseline, **fields)  # type: ignore[arg-type]


def result(*artifacts: ArtifactResult, data: DataRecord | None = None, cpu: str = "A") -> Result:
    return Result({"cpu": cpu, "versions": {"edgeres": "0.1.0"}}, artifacts, data=data)


def compared(n: int = 1000, *, lost: int = 0, won: int = 0, ms: Sequence[float] = (2.0, 1.0)) -> Result:
    """A float baseline and an int8 artifact with accuracy, latency and memory."""
    right = accuracies(n, range(won), range(won, won + lost))
    timed = latencies(*ms)
    memory = Memory(load_bytes=100, peak_bytes=5000, arena_bytes=50)
    return result(
        artifact("float32", size_bytes=4000, baseline=True, accuracy=right[0], latency=timed[0], memory=memory),
        artifact("int8", accuracy=right[1], latency=timed[1], memory=memory),
        data=record(n),
    )


def written(folder: Path, found: Result, name: str = "r.json") -> str:
    found.write(folder / name)
    return str(folder / name)
