"""A latency that is asked for: shrinks, measures, shrinks again, until what is measured is what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.export import to_flatbuffer
from converters.pruning.graph import ChannelGraph, Kept
from converters.pruning.selection import Selection
from converters.pruning.shrink import shrink
from converters.quantization.post_training import quantize
from edgeres.errors import ConfigError
from edgeres.results import Estimate
from targets.latency import Protocol, measure
from targets.target import Target

TOLERANCE = 0.05
"""A network this much faster than asked for will do; one that is slower will not."""

_TRIES = 8
Images = Callable[[], Iterable[NDArray[np.float32]]]
"""Gives the inputs, float32 (1, h, w, c) each, for the ranges of an int8 network of which only the time counts."""


class LatencyMeter:
    """Measures a network against the whole one in interleaved rounds, on a target.

    `precision`: "int8" or "float32", as what is built here will run in the end.
    """

    def __init__(self, target: Target, images: Images, *, precision: str = "int8", threads: int = 1) -> None:
        self._target, self._images, self._precision, self._threads = target, images, precision, threads
        self._whole: tuple[Any, bytes] | None = None

    def speedup(self, model: Any, whole: Any) -> Estimate:
        """How many times faster a network is than the whole one."""
        if self._whole is None or self._whole[0] is not whole:
            self._whole = whole, self._flatbuffer(whole)
        with ExitStack() as stack:
            sessions = [
                stack.enter_context(self._target.open(content, threads=self._threads))
                for content in (self._whole[1], self._flatbuffer(model))
            ]
            found = measure(sessions, Protocol(threads=self._threads), baseline=0)[1].speedup
        if found is None:
            raise ValueError("a measurement against a baseline has a ratio")
        return found

    def share(self, model: Any, whole: Any) -> float:
        """A network's median latency, as a share of the whole one's."""
        return 1 / self.speedup(model, whole).value

    def _flatbuffer(self, model: Any) -> bytes:
        content = to_flatbuffer(model)
        return quantize(content, "int8", images=self._images()) if self._precision == "int8" else content


def within_latency(model: Any, graph: ChannelGraph, selection: Selection, share: float, meter: LatencyMeter) -> Kept:
    """The channels of a network whose latency is `share` of the whole one's, or a little less.

    `TOLERANCE` less will do; where no width within reach gives that, the slowest that was tried below it.

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
