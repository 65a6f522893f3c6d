"""A latency that is asked for: shrinks, measures, shrinks again, until what is measured is what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from converters.export import to_flatbuffer
from converters.job import Job
from converters.pruning.graph import ChannelGraph, Kept
from converters.pruning.selection import Selection
from converters.pruning.shrink import shrink
from converters.quantization import calibration
from converters.quantization.post_training import quantize
from edgeres.errors import ConfigError
from targets.latency import Protocol, measure
from targets.runtimes.cpu import CPU

TOLERANCE = 0.05
"""A network this much faster than asked for will do; one that is slower will not."""

_TRIES = 8
_CALIBRATION = 16
"""Images for the ranges of an int8 network of which only the time counts."""


class LatencyMeter:
    """Measures a network against the whole one in interleaved rounds, on this machine's processor.

    `precision`: "int8" or "float32", as what is built here will run in the end.
    """

    def __init__(self, job: Job, *, precision: str, threads: int) -> None:
        self._job, self._precision, self._threads = job, precision, threads
        self._flatbuffers: dict[int, bytes] = {}

    def share(self, model: Any, whole: Any) -> float:
        """A network's median latency, as a share of the whole one's."""
        before, after = self._flatbuffer(whole, keep=True), self._flatbuffer(model)
        with ExitStack() as stack:
            sessions = [stack.enter_context(CPU.open(each, threads=self._threads)) for each in (before, after)]
            found = measure(sessions, Protocol(threads=self._threads), baseline=0)[1].speedup
        if found is None:
            raise ValueError("no baseline")
        return 1 / found.value

    def _flatbuffer(self, model: Any, *, keep: bool = False) -> bytes:
        if id(model) in self._flatbuffers:
            return self._flatbuffers[id(model)]
        content = to_flatbuffer(model)
        if self._precision == "int8":
            images = self._job.dataset.split("train", images=_CALIBRATION)
            content = quantize(content, "int8", images=calibration.inputs(images, self._job.contract))
        if keep:
            self._flatbuffers[id(model)] = content
        return content


def within_latency(model: Any, graph: ChannelGraph, selection: Selection, share: float, meter: LatencyMeter) -> Kept:
    """The channels of a network whose latency is `share` of the whole one's, or up to `TOLERANCE` below.

    Raises:
        ConfigError: even the smallest network is slower; says by how much.
    """
    whole = graph.macs(graph.everything())

    def tried(macs: float) -> tuple[Kept, float]:
        kept = selection.within(macs * whole + 0.5, graph.macs, what="MACs")
        return kept, meter.share(shrink(model, graph, kept), model)

    return search(tried, share, least=graph.macs(selection.share(0.0)) / whole)


def search(tried: Callable[[float], tuple[Kept, float]], share: float, *, least: float) -> Kept:
    """Find the part of the MACs, from `least` to 1, at which `tried` measures `share`, by false position and halving.

    Latency falls with the MACs, but neither in proportion nor smoothly: kernels like some widths better than others.

    Raises:
        ConfigError: see `within_latency`.
    """
    aim = share * (1 - TOLERANCE / 2)
    low, high = (least, 0.0), (1.0, 1.0)  # (part of the MACs, latency); below `least`, as if it were nothing
    best: tuple[float, Kept] | None = None
    slower: list[bool] = []
    for _ in range(_TRIES):
        part = (low[0] + high[0]) / 2  # where false position keeps one end for ever, halves
        if len(set(slower[-2:])) != 1 or len(slower) < 2:
            part = low[0] + (aim - low[1]) * (high[0] - low[0]) / max(high[1] - low[1], 1e-9)
        kept, found = tried(part)
        slower.append(found > share)
        if found <= share and (best is None or found > best[0]):
            best = found, kept
        if share * (1 - TOLERANCE) <= found <= share:
            break
        low, high = (low, (part, found)) if slower[-1] else ((part, found), high)
    if best is not None:
        return best[1]
    kept, found = tried(least)
    if found <= share:
        return kept
    raise ConfigError(
        f"a latency of {share:.2f} of the whole network's cannot be reached: the smallest network that the rules "
        f"allow measures {found:.2f}",
        fix="ask for more, or lower --set slim.floor, --set slim.multiple",
    )
