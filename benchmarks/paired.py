"""Two ways of doing the same thing, timed in turn: A B, B A, A B … and compared pair by pair."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeres.results import Estimate
from targets.environment import describe
from targets.stats import median_ratio


@dataclass(frozen=True)
class Comparison:
    """Seconds of each pair, and slow ÷ fast as the median over pairs with its interval."""

    slow_s: tuple[float, ...]
    fast_s: tuple[float, ...]
    ratio: Estimate


def compare(slow: Callable[[], Any], fast: Callable[[], Any], *, pairs: int) -> Comparison:
    """Time both `pairs` times (at least 6, or there is no interval), the order changing from pair to pair."""
    seconds: dict[str, list[float]] = {"slow": [], "fast": []}
    for number in range(pairs):
        order = [("slow", slow), ("fast", fast)]
        for name, work in order if number % 2 else reversed(order):
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
        print(f"pair {number + 1}/{pairs}: {seconds['slow'][-1]:.2f} s against {seconds['fast'][-1]:.2f} s", flush=True)
    logs = [math.log(a / b) for a, b in zip(seconds["slow"], seconds["fast"], strict=True)]
    return Comparison(tuple(seconds["slow"]), tuple(seconds["fast"]), median_ratio(logs))


def save(name: str, figures: dict[str, Any]) -> None:
    """Write `benchmarks/results/NAME.json` with the machine it was measured on."""
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"environment": describe(), **figures}, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path}")


def record(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON values."""
    return asdict(comparison)
