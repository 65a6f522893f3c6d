"""Throughput: how many images a second this machine gives, by threads, by processes side by side, and by batch.

Latency is the time of one image; a server or a batch job asks how many a machine gets through. All ways take turns in
random order, round by round, as in `latency.py`; the rate of a way is the median of its rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random

import numpy as np

from edgeres.progress import Progress, silent
from edgeres.results import Rate
from targets.environment import usable_cores
from targets.flatbuffer import walk
from targets.lock import machine_lock
from targets.sandbox import Sandbox
from targets.stats import quantile

ENGINE, KERNELS = "targets.runtimes.interpreter:Engine", "AUTO"
ROUNDS, SECONDS = 8, 0.2
"""A median has no interval from fewer than 6 rounds."""

BATCHES = (1, 4, 16)


@dataclass(frozen=True)
class Way:
    """How images are run: `processes` side by side, each with so many `threads`, `batch` images at a time."""

    threads: int = 1
    processes: int = 1
    batch: int = 1


def ways(cores: int, *, open_batch: bool) -> tuple[Way, ...]:
    """One thread; more threads, and more processes, by powers of two up to all cores; batches, where they are open."""
    counts = [2**power for power in range(1, cores.bit_length()) if 2**power < cores] + ([cores] if cores > 1 else [])
    batches = [Way(batch=batch) for batch in BATCHES[1:]] if open_batch else []
    return (Way(), *(Way(threads=count) for count in counts), *(Way(processes=count) for count in counts), *batches)


def measure(
    model: bytes, *, rounds: int = ROUNDS, seconds: float = SECONDS, seed: int = 0, progress: Progress = silent
) -> tuple[Rate, ...]:
    """Images a second on the processor through XNNPACK, each way.

    Raises:
        ArtifactError: the bytes are not a well-formed flatbuffer.
        TargetError: the runtime refuses the model, or dies on it.
    """
    open_batch = walk(model).inputs[0].signature[0] == -1
    found: dict[Way, list[float]] = {way: [] for way in ways(usable_cores(), open_batch=open_batch)}
    order, random = list(found), Random(seed)  # noqa: S311 - an order, not a secret
    with machine_lock(), _opened(model, order) as crews, ThreadPoolExecutor(usable_cores()) as pool:
        for done in range(1, rounds + 1):
            random.shuffle(order)
            for way in order:
                found[way].append(_rate(crews[way], way, pool, seconds))
            progress("throughput", done, rounds)
    return tuple(summarize(way, tuple(rates)) for way, rates in found.items())


def summarize(way: Way, rates: tuple[float, ...]) -> Rate:
    """The median of the rounds' rates.

    Raises:
        ValueError: fewer than 6.
    """
    return Rate(way.threads, way.processes, way.batch, quantile(rates, 0.5), rates)


@contextmanager
def _opened(model: bytes, ways: Sequence[Way]) -> Iterator[dict[Way, list[Sandbox]]]:
    """The processes of each way, warm; those of one thread and one image are shared."""
    with ExitStack() as stack:

        def start(threads: int, batch: int) -> Sandbox:
            sandbox = stack.enter_context(Sandbox(ENGINE))
            arguments = {"resolver": KERNELS, "threads": threads, "batch": batch}
            sandbox.call("load", model, arguments=arguments)
            sandbox.call("time", arguments={"runs": 3, "seconds": SECONDS})
            return sandbox

        single = [start(1, 1) for _ in range(max(way.processes for way in ways))]
        yield {
            way: single[: way.processes] if way.threads == way.batch == 1 else [start(way.threads, way.batch)]
            for way in ways
        }


def _rate(crew: Sequence[Sandbox], way: Way, pool: ThreadPoolExecutor, seconds: float) -> float:
    """Images a second of all processes together."""

    def run(sandbox: Sandbox) -> float:
        _, blobs = sandbox.call("time", arguments={"runs": 1, "seconds": seconds})
        times = np.frombuffer(blobs[0], "<f8")
        return way.batch * len(times) / (float(times.sum()) / 1000)

    return sum(pool.map(run, crew))
