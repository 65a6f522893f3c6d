"""Hand-made runs, results and bundles for the tests of the report: small, real files, with known figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from edgeres.bundle import Golden, open_bundle, write_bundle
from edgeres.data import Origin, open_dataset
from edgeres.preprocess import Preprocess
from edgeres.records import write_json
from edgeres.results import (
    Accuracy,
    ArtifactResult,
    Conditions,
    DataRecord,
    Estimate,
    Flip,
    Latency,
    Memory,
    Operators,
    OperatorTime,
    OperatorTimes,
    Result,
    Start,
    Startup,
    Trend,
    read_result,
)
from edgeres.storage import sha256_bytes
from edgeres.training.run import CONFIG, HISTORY, DataConfig, Epoch, History, NetworkConfig, RunConfig

FLOAT_MODEL = b"float model" * 30_000
HOSTILE = "<img src=x onerror=\"document.title='owned'\">|`cat`"
"""A class name that is a legal folder name."""

BREAKOUT = "</script><script>document.title='owned'</script><b>&amp; ${7*7} {{7*7}} %{x}"
"""A class name that tries to end the element it is written into."""

CONTRACT = Preprocess(height=32, width=32, scale=1 / 255)


@dataclass(frozen=True)
class Material:
    """Paths of what a report is made from."""

    run: Path
    accuracy: Path
    latency: Path
    bundles: tuple[Path, ...]

    @property
    def all(self) -> tuple[Path, ...]:
        return (self.run, self.accuracy, self.latency, *self.bundles)


def estimate(value: float, half: float, n: int = 100, method: str = "bootstrap") -> Estimate:
    return Estimate(value, value - half, value + half, 0.95, method, n)


def write_images(folder: Path, labels: tuple[str, ...], *, each: int = 30) -> str:
    """A folder of small images of which each class has its own colour; returns the source."""
    chance = np.random.default_rng(0)
    for index, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        color = np.array([(index * 83) % 256, (index * 151) % 256, 255 - (index * 61) % 256])
        for image in range(each):
            noise = chance.integers(-40, 40, (32, 32, 3))
            ramp = np.linspace(-60, 60, 32)[:, None, None]
            pixels = (color + noise + ramp).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{image:03}.png")
    return f"folder:{folder}"


def data_record(source: str) -> DataRecord:
    """The test split of a source, as a measurement records it."""
    dataset = open_dataset(source)
    split = dataset.split("test")
    truth = tuple(map(int, split.classes))
    return DataRecord(source, "test", len(truth), "d" * 64, labels=dataset.labels, truth=truth)


def predictions(truth: tuple[int, ...], classes: int, *, every: int) -> tuple[int, ...]:
    """The truth, with every `every`-th image taken for the next class."""
    return tuple((true + 1) % classes if at % every == 0 else true for at, true in enumerate(truth))


def rounds(median_ms: float, *, count: int = 30, runs: int = 20) -> tuple[tuple[float, ...], ...]:
    chance = np.random.default_rng(int(median_ms * 1000))
    times = median_ms * (
        1 + 0.04 * chance.standard_normal((count, runs)) + 0.15 * chance.exponential(0.3, (count, runs))
    )
    return tuple(tuple(round(float(x), 5) for x in row) for row in times)


KINDS = {"CONV_2D": 9, "ADD": 3, "AVERAGE_POOL_2D": 1, "SOFTMAX": 1, "FULLY_CONNECTED": 1}


@dataclass(frozen=True)
class Figures:
    """What is claimed of one bundle."""

    name: str
    model: bytes
    p50_ms: float
    drop: tuple[float, float]
    verdict: str
    speedup: tuple[float, float]
    speed_verdict: str
    every: int

    @property
    def sha256(self) -> str:
        return sha256_bytes(self.model)


BUNDLES = (
    Figures("float16", b"half" * 42_000, 0.272, (0.0, 0.02), "pass", (0.995, 0.03), "inconclusive", 9),
    Figures("dynamic-int8", b"dyna" * 26_000, 0.151, (0.25, 1.1), "insufficient", (1.79, 0.05), "faster", 8),
    Figures("int8", b"int8" * 24_624, 0.0812, (0.12, 0.49), "pass", (3.33, 0.06), "faster", 7),
    Figures("pruned-int8", b"prun" * 24_624, 0.0809, (3.1, 0.6), "fail", (3.35, 0.07), "faster", 5),
)


LAYERS = (
    ("stem", "CONV_2D"), ("block0_conv", "CONV_2D"), ("block0_add", "ADD"), ("pool", "AVERAGE_POOL_2D"),
    ("predictions", "FULLY_CONNECTED"), ("predictions", "SOFTMAX"),
)  # fmt: skip


def timed_operators(p50_ms: float, itemsize: int, layers: tuple[tuple[str, str], ...] = LAYERS) -> Operators:
    """Operators that take `p50_ms` together, all but the softmax within the delegate."""
    share = p50_ms / len(layers)
    each = tuple(
        OperatorTime(place, kind, layer, kind != "SOFTMAX", estimate(share, share / 20), 4096 * itemsize, 64 * itemsize)
        for place, (layer, kind) in enumerate(layers)
    )
    times = OperatorTimes(50, estimate(p50_ms * 1.02, p50_ms / 50), estimate(p50_ms, p50_ms / 50), each)
    return Operators(15, 13, "XNNPACK", KINDS, {"AVERAGE_POOL_2D": 1, "SOFTMAX": 1}, timed=times)


def started(scale: float) -> Startup:
    """Six starts."""
    starts = tuple(Start(10 * scale + n, scale + n / 10, 900_000, 1_300_000 + n) for n in range(6))
    return Startup(
        estimate(10 * scale + 2.5, 2.5, 6),
        estimate(scale + 0.25, 0.25, 6),
        estimate(9e5, 0, 6),
        estimate(1.3e6, 5, 6),
        starts,
    )


def write_detailed(folder: Path, plain: Material, *, layers: tuple[tuple[str, str], ...] = LAYERS) -> Material:
    """The same material with start-up, p99, timed operators, margins of the flips and drops of the classes."""
    accuracy, latency = read_result(plain.accuracy), read_result(plain.latency)
    paths = folder / "accuracy.json", folder / "latency.json"
    folder.mkdir()
    rows = [row if row.baseline else replace(row, accuracy=_in_detail(row, accuracy)) for row in accuracy.artifacts]
    replace(accuracy, artifacts=tuple(rows)).write(paths[0])
    rows = [_timed_in_detail(row, layers) for row in latency.artifacts]
    replace(latency, artifacts=tuple(rows)).write(paths[1])
    return replace(plain, accuracy=paths[0], latency=paths[1])


def _in_detail(row: ArtifactResult, result: Result) -> Accuracy:
    own, data, baseline = row.accuracy, result.data, result.artifacts[0].accuracy
    assert own is not None
    assert data is not None
    assert baseline is not None
    drop = own.top1_drop_points
    assert drop is not None
    drops = tuple(estimate(drop.value + index, 2.0, data.images) for index in range(len(data.labels or ()) - 1))
    return replace(
        own,
        flips=tuple(_flips(own, baseline, data)),
        class_drops_points=(*drops, None),
        top1_drop_bounds_points=estimate(drop.value, 0.8 * (drop.high - drop.value)),
        lost=9,
        won=2,
        mcnemar_p=0.04,
    )


def _flips(own: Accuracy, baseline: Accuracy, data: DataRecord) -> Iterator[Flip]:
    triples = zip(data.truth or (), baseline.predictions or (), own.predictions or (), strict=True)
    for index, (true, before, after) in enumerate(triples):
        if before != after:
            yield Flip(index, f"{BREAKOUT}/{index}", true, before, after, (index % 50) / 100, (index % 40) / 100)


def _timed_in_detail(row: ArtifactResult, layers: tuple[tuple[str, str], ...]) -> ArtifactResult:
    own = row.latency
    assert own is not None
    p50 = own.p50_ms.value
    scale, itemsize = (4.0, 4) if row.baseline else (2.0, 1)
    latency = replace(own, p99_ms=estimate(p50 * 1.3, p50 / 30))
    return replace(row, latency=latency, startup=started(scale), operators=timed_operators(p50, itemsize, layers))


def write_material(
    folder: Path, *, source: str, data: DataRecord, bundles: tuple[Figures, ...] = BUNDLES, network: str = "resnet8"
) -> Material:
    """Write a run, an accuracy result, a latency result and the bundles into a folder."""
    labels = data.labels or ()
    run = folder / "run"
    paths = tuple(folder / "bundles" / each.name for each in bundles)
    _write_run(run, source, labels, network)
    for each, path in zip(bundles, paths, strict=True):
        _write_bundle(path, each, source, labels)
    environment = {
        "cpu": "Xeon (test)",
        "cores": 2,
        "instructions": ["avx2", "avx512f", "avx512_vnni"],
        "load": 0.18,
        "python": "3.11.2",
        "versions": {"ai-edge-litert": "2.3.0", "edgeres": "0.1.0"},
    }
    measured = [_accuracy(each, data, str(path)) for each, path in zip(bundles, paths, strict=True)]
    timed = [_latency(each, str(path)) for each, path in zip(bundles, paths, strict=True)]
    accuracy, latency = folder / "accuracy.json", folder / "latency.json"
    Result(environment, (_float_accuracy(data, run), *measured), data).write(accuracy)
    Result(environment, (_float_latency(run), *timed)).write(latency)
    return Material(run, accuracy, latency, paths)


def _float(run: Path, **parts: object) -> ArtifactResult:
    digest = sha256_bytes(FLOAT_MODEL)
    return ArtifactResult("float", f"{run}/model.keras", digest, len(FLOAT_MODEL), "cpu", True, **parts)


def _float_accuracy(data: DataRecord, run: Path) -> ArtifactResult:
    truth = data.truth or ()
    guessed = predictions(truth, len(data.labels or ()), every=9)
    return _float(
        run, accuracy=Accuracy(data.images, estimate(0.8771, 0.0065, data.images, "Wilson"), predictions=guessed)
    )


def _float_latency(run: Path) -> ArtifactResult:
    steady = Trend(0.0, 0.0, 1.0)
    busy = Conditions(("contention",), steady, steady, (1.0,) * 30, pressure=0.42)
    timed = Latency(1, estimate(0.2707, 0.002), estimate(0.2961, 0.004), rounds(0.27), conditions=busy)
    return _float(
        run,
        latency=timed,
        memory=Memory(1_900_000, 2_700_000, 196_608),
        operators=Operators(15, 13, "XNNPACK", KINDS, {"AVERAGE_POOL_2D": 1, "SOFTMAX": 1}),
    )


def _accuracy(each: Figures, data: DataRecord, path: str) -> ArtifactResult:
    guessed = predictions(data.truth or (), len(data.labels or ()), every=each.every)
    accuracy = Accuracy(
        data.images,
        estimate(0.8771 - each.drop[0] / 100, 0.0066, data.images, "Wilson"),
        top1_drop_points=estimate(*each.drop, data.images, "paired bootstrap"),
        agreement=estimate(0.9781, 0.003, data.images, "Wilson"),
        margin_points=1.0,
        verdict=each.verdict,
        predictions=guessed,
    )
    return ArtifactResult(each.name, path, each.sha256, len(each.model), "cpu", False, accuracy=accuracy)


def _latency(each: Figures, path: str) -> ArtifactResult:
    latency = Latency(
        1,
        estimate(each.p50_ms, each.p50_ms / 100),
        estimate(each.p50_ms * 1.1, each.p50_ms / 60),
        rounds(each.p50_ms),
        estimate(*each.speedup, 30, "median of rounds, sign-test interval"),
        each.speed_verdict,
    )
    return ArtifactResult(
        each.name,
        path,
        each.sha256,
        len(each.model),
        "cpu",
        False,
        latency=latency,
        memory=Memory(900_000, 1_300_000, 55_900),
        operators=Operators(15, 13, "XNNPACK", KINDS, {"AVERAGE_POOL_2D": 1, "SOFTMAX": 1}),
    )


def _write_run(run: Path, source: str, labels: tuple[str, ...], network: str) -> None:
    run.mkdir(parents=True)
    training = {"epochs": 20, "batch": 128, "learning_rate": 0.1, "augment": "auto", "seed": 0, "momentum": 0.9}
    images = {"train": 4000, "validation": 400, "test": 400, "calibration": 200}
    data = DataConfig(source, 0, labels, images)
    config = RunConfig(NetworkConfig(network, 1.0, len(labels), 78_666), data, CONTRACT, training, {"python": "3.11.2"})
    write_json(run / CONFIG, config)
    epochs = tuple(
        Epoch(n, 2.2 / n**0.7, 1 - 0.8 / n**0.6, 2.3 / n**0.65 + 0.05, 1 - 0.85 / n**0.55, 0.1 * (21 - n) / 20, 4.2)
        for n in range(1, 21)
    )
    write_json(run / HISTORY, History(epochs, estimate(0.8771, 0.0065, 400, "Wilson")))


def _write_bundle(path: Path, each: Figures, source: str, labels: tuple[str, ...]) -> None:
    chance = np.random.default_rng(3)
    images = tuple(chance.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(4))
    outputs = np.eye(len(labels), dtype=np.float32)[np.arange(4) % len(labels)]
    inputs = np.stack([CONTRACT(image) for image in images])
    describe = {
        "name": each.name,
        "preprocess": CONTRACT,
        "recipe": {"schema": "edgeres.recipe/1", "name": each.name, "steps": [{"step": "export"}]},
        "source": {"file": "model.keras", "network": {"name": "resnet8", "parameters": 78_666}},
        "data": Origin(source, 0),
        "seeds": {"splits": 0, "fine_tuning": 0},
        "versions": {"tensorflow": "2.21.0"},
        "inputs": {"model": "a" * 64, "calibration": "b" * 64},
        "tolerance": 0.03,
    }
    write_bundle(
        path, model=each.model, labels=labels, golden=Golden(images, inputs, outputs, outputs), describe=describe
    )
    open_bundle(path)
