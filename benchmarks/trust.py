"""How far a latency verdict can be trusted: a network against itself, a simulated device, a loaded machine.

    python -m benchmarks.trust [--trials 100] [--repeats 10]

Writes `benchmarks/results/trust.json` and prints a line for each figure; about 6 minutes on two cores that others use.
Measures the ResNet-8 of `tests/assets` by the protocol of `edgeres profile`, in float32 and in int8 (calibrated on
random pictures, for speed is all that is asked of it).
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paired import save
from benchmarks.simulated import Device, Model
from edgeres.results import Latency
from targets.artifact import Artifact
from targets.catalogue import available_target
from targets.crew import open_in_turns
from targets.latency import MAX_ROUNDS, Block, Protocol, measure
from targets.stats import proportion
from targets.target import Session

NETWORK = Path("tests/assets/resnet8-cifar10/model.keras")
BUSY = 2
FRESH = 10
"""After so many trials the processes are replaced: what is peculiar to one pair must not decide over all."""

_BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    pass
"""

WARM = Protocol(max_rounds=MAX_ROUNDS, warm_up_seconds=0.05, warm_up_limit=0.5)
"""The protocol of the command line, for sessions that have run before."""

SIMULATED = Protocol(
    max_rounds=MAX_ROUNDS,
    block=Block(runs=3, seconds=0),
    warm_up=Block(runs=2, seconds=0),
    warm_up_runs=4,
    warm_up_seconds=0,
    settled=1.0,
)
RATIO, DRIFT, SLOW_DOWN, NOISE, SPIKES = 1.9, 0.3, 0.15, 0.05, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    whole, small = models()
    figures: dict[str, Any] = {"trials": options.trials, "busy_processes": BUSY}
    figures["simulated"] = simulated(options.trials)
    figures["slow_down"] = slow_down(options.trials)
    with busy():
        figures["repeats_under_load"] = repeats(whole, small, options.repeats)
        figures["pinning_under_load"] = pinning(whole, options.repeats)
    figures["same_model"] = same_model(whole, options.trials, "as the machine was")
    with busy():
        figures["same_model_under_load"] = same_model(whole, options.trials, f"{BUSY} busy processes more")
    save("trust", figures)


def models() -> tuple[Artifact, Artifact]:
    """The network in float32 and in int8."""
    from converters.keras_artifact import float_artifact
    from converters.quantization.post_training import quantize
    from edgeres.keras_file import read_keras_file

    whole = float_artifact(read_keras_file(NETWORK), None)
    random = np.random.default_rng(0)
    pictures = [random.uniform(0, 255, (1, 32, 32, 3)).astype(np.float32) for _ in range(8)]
    return whole, replace(whole, name="int8", model=quantize(whole.model, "int8", images=pictures))


@contextmanager
def busy() -> Iterator[None]:
    """So many processes that only count, until the end."""
    processes = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def opened(*artifacts: Artifact) -> Iterator[list[tuple[Session, ...]]]:
    """The processes that take turns in `profile`."""
    with ExitStack() as stack:
        yield open_in_turns(artifacts, available_target("cpu"), stack)


def same_model(model: Artifact, trials: int, how: str) -> dict[str, Any]:
    """The network against itself: how often it is called faster or slower than it is."""
    found: list[Latency] = []
    while len(found) < trials:
        with opened(model, model) as (sessions, *others):
            seeds = range(len(found), min(len(found) + FRESH, trials))
            found += [measure(sessions, replace(WARM, seed=seed), others=others, baseline=0)[1] for seed in seeds]
    wrong = sum(each.verdict in ("faster", "slower") for each in found)
    print(f"A/A, {how}: {wrong} of {trials} wrong; off by {_off(found):.2%}; {_count(found)}")
    return {"wrong": wrong, "off": _off(found), "trials": [_trial(each) for each in found]}


def simulated(trials: int) -> dict[str, Any]:
    """A device that becomes slower by 30 % a measurement, with spikes: how often the interval holds the true ratio."""
    found = []
    for seed in range(trials):
        device = Device(seed=seed, noise=NOISE, spikes=SPIKES, drift=DRIFT)
        sessions = [Model(device, RATIO), Model(device, 1.0)]
        found.append(measure(sessions, SIMULATED, baseline=0, watch=device.watch(2))[1])
    ranks, drawn = (
        sum(each.low <= RATIO <= each.high for each in estimates)
        for estimates in ([_ratio(each) for each in found], [each.speedup_bca for each in found if each.speedup_bca])
    )
    print(f"simulated, true ratio {RATIO}: covered by {ranks} of {trials} intervals, by {drawn} of the bootstrap's")
    return {"ratio": RATIO, "covered": ranks, "covered_bca": drawn, "trials": [_trial(each) for each in found]}


def slow_down(trials: int) -> dict[str, Any]:
    """A device that becomes slower by 15 % halfway, and one that does not: how often drift is flagged."""
    protocol = replace(SIMULATED, max_rounds=None)
    flagged = {}
    for name, injected in (("injected", SLOW_DOWN), ("steady", 0.0)):
        found = []
        for seed in range(trials):
            device = Device(seed=seed, noise=NOISE, spikes=SPIKES, slow_down=injected)
            found += measure([Model(device, RATIO)], protocol, watch=device.watch(1))
        flagged[name] = sum("drift" in each.conditions.flags for each in found if each.conditions)
    share = proportion(flagged["injected"], trials)
    print(
        f"15 % slower halfway: flagged in {flagged['injected']} of {trials} [{share.low:.1%}, {share.high:.1%}]; ",
        end="",
    )
    print(f"steady: flagged in {flagged['steady']} of {trials}")
    return {"flagged": flagged["injected"], "falsely_flagged": flagged["steady"]}


def repeats(whole: Artifact, small: Artifact, count: int) -> dict[str, Any]:
    """Float against int8 on a loaded machine, by fresh processes each time: how far apart the speed-ups are."""
    found = []
    for seed in range(count):
        with opened(whole, small) as (sessions, *others):
            found.append(measure(sessions, Protocol(max_rounds=MAX_ROUNDS, seed=seed), others=others, baseline=0)[1])
    values = [_ratio(each).value for each in found]
    spread = max(values) / min(values) - 1
    print(f"float against int8, {count} times under load: {min(values):.3f}x to {max(values):.3f}x, {spread:.1%} apart")
    return {"apart": spread, "trials": [_trial(each) for each in found]}


def pinning(model: Artifact, count: int) -> dict[str, Any]:
    """The network against itself, pinned and not, in turns, by fresh processes: how far off 30 rounds are."""
    found: dict[str, list[Latency]] = {"pinned": [], "free": []}
    protocols = {name: replace(WARM, max_rounds=None, pin=name == "pinned") for name in found}
    for seed in range(count):
        for name in sorted(found, reverse=bool(seed % 2)):
            with opened(model, model) as (sessions, *others):
                found[name].append(measure(sessions, replace(protocols[name], seed=seed), others=others, baseline=0)[1])
    off = {name: _off(each_way) for name, each_way in found.items()}
    print(f"A/A of 30 rounds under load: off by {off['pinned']:.2%} pinned, {off['free']:.2%} not")
    return {"off": off} | {name: [_trial(each) for each in each_way] for name, each_way in found.items()}


def _ratio(latency: Latency) -> Any:
    if latency.speedup is None:
        raise ValueError("a comparison has a ratio")
    return latency.speedup


def _off(found: Sequence[Latency]) -> float:
    """How far the speed-ups of a model over itself are from 1: the root of the mean square of their logarithms."""
    return math.sqrt(statistics.mean(math.log(_ratio(each).value) ** 2 for each in found))


def _trial(latency: Latency) -> dict[str, Any]:
    """What of a measurement is kept: the ratio, the verdict, how long it went on, what was flagged."""
    kept = {name: value for name, value in asdict(_ratio(latency)).items() if name in ("value", "low", "high")}
    flags = latency.conditions.flags if latency.conditions else ()
    return kept | {"verdict": latency.verdict, "rounds": len(latency.rounds), "flags": list(flags)}


def _count(found: Sequence[Latency]) -> str:
    verdicts = [each.verdict for each in found]
    rounds = statistics.mean(len(each.rounds) for each in found)
    each = ", ".join(f"{verdicts.count(name)} {name}" for name in dict.fromkeys(verdicts) if name)
    return f"{each}; {rounds:.0f} rounds on average"


if __name__ == "__main__":
    main()
