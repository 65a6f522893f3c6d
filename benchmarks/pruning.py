"""Channel pruning of ResNet-50 (224x224, random weights): how long it takes, and what it does to int8 latency.

    python -m benchmarks.pruning [--parts analysis internal budget] [--budget 0.6] [--threads 1]

"analysis": seconds to follow the channels, score, choose and shrink ResNet-50 and ResNet-152, and to prove the result.
"internal": the latency of int8 with half of the channels inside of the blocks, against all, in interleaved rounds.
"budget": what a network measures, anew, that was asked to take `--budget` of the whole one's latency.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.paired import save
from converters.pruning.analysis import analyse
from converters.pruning.criteria import scores
from converters.pruning.goal import count
from converters.pruning.latency_goal import LatencyMeter, within_latency
from converters.pruning.selection import Rules, Selection
from converters.pruning.shrink import require_equal, shrink
from edgeres.models import find_network
from edgeres.results import Estimate
from targets.runtimes.cpu import CPU

_IMAGES = 8
"""For the ranges of a network with random weights, of which only the time counts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--budget", type=float, default=0.6)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    tf.keras.utils.set_random_seed(0)
    for part in options.parts:
        save(f"pruning-{part}", PARTS[part](options))


def analysis(_: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each stage, once; half of the MACs stay."""
    found = {}
    for name in ("resnet50", "resnet152"):
        model = find_network(name).build()
        seconds, started = {}, time.perf_counter()

        def lap(stage: str, seconds: dict[str, float] = seconds) -> None:
            nonlocal started
            seconds[stage], started = time.perf_counter() - started, time.perf_counter()

        graph = analyse(model)
        lap("analyse")
        selection = Selection(graph, scores(model, graph, "l2"), Rules())
        kept = selection.within(0.5 * count(model, graph, graph.everything(), "macs"), graph.macs, what="MACs")
        lap("score and choose")
        small = shrink(model, graph, kept)
        lap("shrink")
        require_equal(model, graph, kept, small)
        lap("prove")
        found[name] = seconds
        print(f"{name}: " + ", ".join(f"{stage} {value:.1f} s" for stage, value in seconds.items()), flush=True)
    return {"seconds": found}


def internal(options: argparse.Namespace) -> dict[str, Any]:
    """Half of the channels that no sum joins."""
    model = find_network("resnet50").build()
    graph = analyse(model)
    kept = Selection(graph, scores(model, graph, "l2"), Rules(scope="internal")).share(0.5)
    meter = _meter(options)
    speedup = meter.speedup(shrink(model, graph, kept), model)
    share = graph.macs(kept) / graph.macs(graph.everything())
    print(f"half of the internal channels, {share:.3f} of the MACs: {_shown(speedup)} faster than int8 with all")
    return {"macs_share": share, "threads": options.threads, "speedup": asdict(speedup)}


def budget(options: argparse.Namespace) -> dict[str, Any]:
    """Found by measuring, then measured once more."""
    model = find_network("resnet50").build()
    graph = analyse(model)
    selection, meter = Selection(graph, scores(model, graph, "l2"), Rules()), _meter(options)
    started = time.perf_counter()
    kept = within_latency(model, graph, selection, options.budget, meter)
    seconds = time.perf_counter() - started
    speedup = meter.speedup(shrink(model, graph, kept), model)
    share = graph.macs(kept) / graph.macs(graph.everything())
    print(
        f"asked for {options.budget} of the latency: {share:.3f} of the MACs, found in {seconds:.0f} s and "
        f"{len(meter.shares)} measurements ({', '.join(f'{each:.3f}' for each in meter.shares)}); "
        f"anew: {1 / speedup.value:.3f} [{1 / speedup.high:.3f}, {1 / speedup.low:.3f}]"
    )
    return {
        "budget": options.budget, "macs_share": share, "threads": options.threads, "seconds": seconds,
        "measured": meter.shares, "speedup": asdict(speedup),
    }  # fmt: skip


class Meter(LatencyMeter):
    """Remembers what it measured."""

    shares: list[float]

    def share(self, model: Any, whole: Any) -> float:
        """A network's median latency, as a share of the whole one's."""
        self.shares = [*getattr(self, "shares", []), super().share(model, whole)]
        return self.shares[-1]


def _meter(options: argparse.Namespace) -> Meter:
    return Meter(CPU, _noise, threads=options.threads)


def _noise() -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    return (random.uniform(0, 255, (1, 224, 224, 3)).astype(np.float32) for _ in range(_IMAGES))


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.2f}x [{estimate.low:.2f}, {estimate.high:.2f}]"


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "analysis": analysis,
    "internal": internal,
    "budget": budget,
}

if __name__ == "__main__":
    main()
