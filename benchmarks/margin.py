"""How often a model whose true drop is exactly the margin gets a `pass`: at most 5 % of simulated test sets.

    python -m benchmarks.margin [--trials 10000]

For each number of images, margin and share of images that only the artifact gets right: the share of wrong passes in
`--trials` samples, and the exact one, summed over all samples that can occur.
"""

from __future__ import annotations

import argparse
import itertools
import math
from functools import cache
from typing import Any

import numpy as np

from targets.paired import Pairs, accuracy_verdict, drop_bounds

IMAGES, MARGINS, WON = (300, 1000, 3000), (0.005, 0.01, 0.02), (0.0, 0.002, 0.01, 0.03)
NEGLIGIBLE = 1e-9
"""Samples rarer than this are left out of the exact sum."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    trials = parser.parse_args().trials

    from benchmarks.paired import save

    rows = [row(n, margin, won, trials) for n, margin, won in itertools.product(IMAGES, MARGINS, WON)]
    worst = max(row["wrong_passes"] for row in rows)
    exact = max(row["exact_share"] for row in rows)
    print(f"at most {worst} wrong passes of {trials}; exact shares up to {exact:.2%}")
    save("margin", {"trials": trials, "rows": rows})


def row(n: int, margin: float, won: float, trials: int) -> dict[str, Any]:
    """The wrong passes of one setting."""
    shares = (won + margin, won, 1 - 2 * won - margin)
    samples = np.random.default_rng(0).multinomial(n, shares, size=trials)
    wrong = sum(passes(n, int(lost), int(gained), margin) for lost, gained, _ in samples)
    found = {
        "images": n,
        "margin_points": 100 * margin,
        "won": won,
        "wrong_passes": wrong,
        "exact_share": exact(n, shares),
    }
    print(found, flush=True)
    return found


@cache
def passes(n: int, lost: int, won: int, margin: float) -> bool:
    """Whether such a sample is called a pass."""
    return accuracy_verdict(drop_bounds(Pairs(n, lost, won)), margin_points=100 * margin) == "pass"


def exact(n: int, shares: tuple[float, float, float]) -> float:
    """The probability of a pass: the sum over all trinomial samples that pass."""
    margin, total = shares[0] - shares[1], 0.0
    for lost in range(n + 1):
        if (lost - n * shares[0]) > 8 * math.sqrt(n * shares[0]) + 8:
            break
        for won in range(n - lost + 1):
            if (won - n * shares[1]) > 8 * math.sqrt(n * shares[1]) + 8:
                break
            probability = trinomial(n, (lost, won, n - lost - won), shares)
            if probability > NEGLIGIBLE and passes(n, lost, won, margin):
                total += probability
    return total


def trinomial(n: int, counts: tuple[int, int, int], shares: tuple[float, float, float]) -> float:
    """The probability of these counts."""
    if any(count and not share for count, share in zip(counts, shares, strict=True)):
        return 0.0
    logs = [
        count * math.log(share) - math.lgamma(count + 1) for count, share in zip(counts, shares, strict=True) if count
    ]
    return math.exp(math.lgamma(n + 1) + math.fsum(logs))


if __name__ == "__main__":
    main()
