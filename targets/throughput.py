"""Throughput: how many images a second this machine gives, by threads, by processes side by side, and by batch.

Latency is the time of one image; a server or a batch job asks how many a machine gets through. All ways take turns in
random order, round by round, as in `latency.py`; a way is compared with the first, one image on one thread, round by
round. A rate is that of all processes together between one moment and a later one: images done ÷ seconds passed, so
that a process which waits for a core costs what it costs.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random

import numpy as np

from edgeres.errors import TargetError
from edgeres.progress import Progress, silent
from edgeres.results import Rate
from targets.crew import sessions_that_fit
from targets.environment import physical_memory, usable_cores
from targets.flatbuffer import walk
from targets.lock import machine_lock
from targets.sandbox import Sandbox
from targets.stats import median_ratio, quantile

ENGINE, KERNELS = "targets.runtimes.interpreter:Engine", "AUTO"
ROUNDS, SECONDS = 12, 0.25
"""A median has no interval from fewer than 6 rounds."""

BATCHES = (4, 16)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Way:
    """How images are run: `processes` side by side, each with so many `threads`, `batch` images at a time."""

    threads: int = 1
    processes: int = 1
    batch: int = 1


FIRST = Way()


def ways(cores: int, *, processes: int | None = None, open_batch: bool = False) -> tuple[Way, ...]:
    """One thread; more threads, and more processes, by powers of two up to all cores; batches, where they are open.

    `processes`: the most that there may be, where fewer than cores. Batches run on one thread and on all cores.
    """
    counts = [1]
    while counts[-1] < cores:
        counts.append(min(2 * counts[-1], cores))
    most = cores if processes is None else min(cores, processes)
    batches = [Way(threads, 1, batch) for batch in BATCHES for threads in dict.fromkeys((1, cores))]
    return (
        FIRST,
        *(Way(threads=count) for count in counts[1:]),
        *(Way(processes=count) for count in counts[1:] if count <= most),
        *(batches if open_batch else ()),
    )


def measure(
    model: bytes, *, rounds: int = ROUNDS, seconds: float = SECONDS, seed: int = 0, progress: Progress = silent
) -> tuple[Rate, ...]:
    """Images a second on the processor through XNNPACK, each way; a batch that the runtime refuses is left out.

    Raises:
        ArtifactError: the bytes are not a well-formed flatbuffer.
        TargetError: the runtime refuses the model, or dies on it.
    """
    graph, cores, most = walk(model), usable_cores(), sessions_that_fit(len(model), physical_memory())
    if most < cores:
        _log.warning("memory holds %d processes of this model: no more are run side by side", most)
    asked = ways(cores, processes=most, open_batch=graph.inputs[0].signature[0] == -1)
    with machine_lock(), _opened(model, asked) as crews, ThreadPoolExecutor(cores) as pool:
        found: dict[Way, list[float]] = {way: [] for way in crews}
        order, random = list(found), Random(seed)  # noqa: S311 - an order, not a secret
        for done in range(1, rounds + 1):
            random.shuffle(order)
            for way in order:
                found[way].append(_rate(crews[way], way.batch, pool, seconds))
            progress("throughput", done, rounds)
    return tuple(summarize(way, rates, first=None if way == FIRST else found[FIRST]) for way, rates in found.items())


def summarize(way: Way, rates: Sequence[float], *, first: Sequence[float] | None) -> Rate:
    """The median of the rounds' rates, and of their ratios to those of the first way in the same rounds.

    Raises:
        ValueError: fewer than 6 rounds, or another number of the first way.
    """
    scaling = None
    if first is not None:
        scaling = median_ratio([math.log(own / one) for own, one in zip(rates, first, strict=True)])
    return Rate(way.threads, way.processes, way.batch, quantile(rates, 0.5), tuple(rates), scaling)


def again(found: Sequence[Rate]) -> tuple[Rate, ...]:
    """The same, computed anew from the rates of the rounds.

    Raises:
        ValueError: they are too few for an interval, or of another number than the first way's.
    """
    first = found[0].rates if found else ()
    return tuple(
        summarize(Way(rate.threads, rate.processes, rate.batch), rate.rates, first=first if place else None)
        for place, rate in enumerate(found)
    )


@contextmanager
def _opened(model: bytes, asked: Sequence[Way]) -> Iterator[dict[Way, list[Sandbox]]]:
    """The processes of each way, warm; those of one thread and one image are shared by all ways."""
    with ExitStack() as stack:
        single = [_start(stack, model, FIRST) for _ in range(max(way.processes for way in asked))]
        crews = {
            way: single[: way.processes] if way.threads == way.batch == 1 else _alone(stack, model, way)
            for way in asked
        }
        yield {way: crew for way, crew in crews.items() if crew}


def _alone(stack: ExitStack, model: bytes, way: Way) -> list[Sandbox]:
    """The process of a way that has one; none, and a warning, where the runtime refuses its batch."""
    try:
        return [_start(stack, model, way)]
    except TargetError as error:
        if way.batch == 1:
            raise
        _log.warning("a batch of %d on %d threads is left out: %s", way.batch, way.threads, error.message)
        return []


def _start(stack: ExitStack, model: bytes, way: Way) -> Sandbox:
    """A process with the model, which has run once; it ends with the stack."""
    sandbox = stack.enter_context(Sandbox(ENGINE))
    arguments = {"resolver": KERNELS, "threads": way.threads, "batch": way.batch}
    values, _ = sandbox.call("load", model, arguments=arguments)
    if (rows := values.get("output_shape", [0])[0]) != way.batch:
        raise TargetError(f"for a batch of {way.batch} the model gives {rows} rows of scores")
    sandbox.call("time", arguments={"runs": 1, "seconds": SECONDS})
    return sandbox


def _rate(crew: Sequence[Sandbox], batch: int, pool: ThreadPoolExecutor, seconds: float) -> float:
    """Images a second of all processes together, from when all of them are awake until the last has ended."""

    def run(sandbox: Sandbox, seconds: float) -> int:
        _, blobs = sandbox.call("time", arguments={"runs": 1, "seconds": seconds})
        return np.frombuffer(blobs[0], "<f8").size

    list(pool.map(lambda sandbox: run(sandbox, 0), crew))  # all are awake, and nobody else's threads spin any more
    began = time.perf_counter()
    runs = sum(pool.map(lambda sandbox: run(sandbox, seconds), crew))
    return float(f"{batch * runs / (time.perf_counter() - began):.6g}")
