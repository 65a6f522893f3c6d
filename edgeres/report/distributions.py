"""The chart of raw times by percentile: how long the slowest 50 %, 10 %, 1 % of the inferences took, and the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.report.chart import Chart, Numbers, chart, color, go, lay_out, text, whiskers
from edgeres.report.story import Comparison
from edgeres.report.wording import NONE, interval, number, quantity
from edgeres.results import Estimate, Latency

PLACES = 160
"""A curve is drawn at this many places at most, the fastest and the slowest inference among them."""

_MARKS = (("p50", 0.5, "circle"), ("p90", 0.9, "diamond"), ("p99", 0.99, "triangle-up"))


@dataclass(frozen=True)
class Timed:
    """An artifact's raw times in ms, sorted, and the share of all that take no longer: both float64 (n,)."""

    position: int
    label: str
    latency: Latency
    times_ms: NDArray[np.float64]
    shares: NDArray[np.float64]

    @property
    def marks(self) -> tuple[tuple[str, float, str, Estimate], ...]:
        """Name, share, symbol and value of each percentile that was measured."""
        found = (self.latency.p50_ms, self.latency.p90_ms, self.latency.p99_ms)
        return tuple((*names, each) for names, each in zip(_MARKS, found, strict=True) if each is not None)


def latencies(comparison: Comparison) -> Chart | None:
    """The raw times of every artifact by percentile, p50, p90 and p99 marked on them with their intervals."""
    timed = [
        Timed(position, comparison.label(each), each.latency, *found)
        for position, each in enumerate(comparison.artifacts)
        if each.latency and len((found := raw_times(each.latency))[0])
    ]
    if not timed:
        return None
    figure = go.Figure()
    for each in timed:
        figure.add_trace(_curve(each))
        figure.add_trace(_marks(each))
    lay_out(figure, height=440, x="Inferences that took no longer", y="Time, ms (log scale)")
    _axes(figure, timed)
    drawn = sum(len(each.times_ms) for each in timed)
    return chart(
        "Distribution of latency",
        f"All {drawn:,} inferences of the rounds, none left out: from the fastest on the left to the slowest on the "
        "right, where each step takes ten times fewer. A flat line is a steady model. Marked with their intervals: "
        f"{', '.join(name for name, *_ in _MARKS[: max(len(each.marks) for each in timed)])}.",
        figure,
        _numbers(timed),
    )


def raw_times(latency: Latency) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The raw times in ms, sorted, and the share of all that take no longer, rounds weighing the same.

    What is no time is left out.
    """
    rounds = [[time for time in each if math.isfinite(time) and time > 0] for each in latency.rounds]
    times_ms = np.asarray([time for each in rounds for time in each], np.float64)
    weights = np.asarray([1 / len(each) for each in rounds for _ in each], np.float64)
    order = np.argsort(times_ms, kind="stable")
    return times_ms[order], np.cumsum(weights[order]) / max(1e-300, weights.sum())


def rarity(share: float | NDArray[np.float64], least: float) -> Any:
    """Where a share stands on the axis: 0 for none, 1 for 90 %, 2 for 99 %; what is left is at `least` for the last."""
    return -np.log10(np.maximum(1 - np.asarray(share), least))


def curve(times_ms: NDArray[np.float64], shares: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Places on the axis and times in ms of at most `PLACES` of the sorted times, the ends among them."""
    least = 1 / len(times_ms)
    x = rarity(np.concatenate([[0.0], shares[:-1]]), least)
    wanted = np.searchsorted(x, np.linspace(0, float(x[-1]), PLACES))
    kept = np.unique(np.concatenate([[0], np.clip(wanted, 0, len(x) - 1), [len(x) - 1]]))
    return [round(float(x[at]), 4) for at in kept], [float(f"{times_ms[at]:.5g}") for at in kept]


def _curve(each: Timed) -> Any:
    x, y = curve(each.times_ms, each.shares)
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        line={"width": 2, "color": color(each.position)},
        customdata=[f"{_percent(1 - 10**-place)} took no longer than" for place in x],
        name=text(each.label),
        legendgroup=str(each.position),
        hovertemplate="<b>%{fullData.name}</b><br>%{customdata} %{y:.4g} ms<extra></extra>",
    )


def _percent(share: float) -> str:
    return f"{number(100 * share, 1 if share < 0.99 else 2)} %"


def _marks(each: Timed) -> Any:
    shade, shown = color(each.position), [quantity(estimate, " ms") for *_, estimate in each.marks]
    return go.Scatter(
        x=[-math.log10(1 - share) for _, share, *_ in each.marks],
        y=[estimate.value for *_, estimate in each.marks],
        error_y=whiskers([estimate for *_, estimate in each.marks], shade),
        mode="markers",
        marker={
            "symbol": [symbol for _, _, symbol, _ in each.marks],
            "size": 10,
            "color": shade,
            "line": {"width": 1.5, "color": "var(--card)"},
        },
        customdata=[
            f"{name} {figure.value} ({figure.note})" for (name, *_), figure in zip(each.marks, shown, strict=True)
        ],
        name=text(each.label),
        legendgroup=str(each.position),
        showlegend=False,
        hovertemplate="<b>%{fullData.name}</b><br>%{customdata}<extra></extra>",
    )


def _axes(figure: Any, timed: Sequence[Timed]) -> None:
    """Percentiles from the fastest to the slowest of all; times in round steps."""
    most = max(math.log10(len(each.times_ms)) for each in timed)
    nines = range(3, math.floor(most) + 1)
    places = [-math.log10(0.5), 1.0, 2.0, *map(float, nines)]
    names = ["50 %", "90 %", "99 %", *(f"99.{'9' * (each - 2)} %" for each in nines)]
    figure.update_xaxes(tickvals=places, ticktext=names, range=[-0.06, max(most, 1.0) + 0.08], zeroline=False)
    marks = [estimate for each in timed for *_, estimate in each.marks]
    low = min([float(each.times_ms[0]) for each in timed] + [mark.low for mark in marks if mark.low > 0])
    high = max([float(each.times_ms[-1]) for each in timed] + [mark.high for mark in marks])
    ticks = ticks_between(low, high)
    figure.update_yaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])


def _numbers(timed: Sequence[Timed]) -> Numbers:
    rows = []
    for each in timed:
        figures = (each.latency.p50_ms, each.latency.p90_ms, each.latency.p99_ms)
        fastest, longest = (f"{number(float(end), 4)} ms" for end in (each.times_ms[0], each.times_ms[-1]))
        cells = (interval(figure, " ms") if figure else NONE for figure in figures)
        rows.append((each.label, *cells, fastest, longest, f"{len(each.times_ms):,}"))
    return Numbers(("Artifact", "p50", "p90", "p99", "Fastest", "Slowest", "Inferences"), tuple(rows))


def ticks_between(low: float, high: float) -> list[float]:
    """Round steps over a positive range, finer where it spans less than a decade, and one beyond each end."""
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    digits = (
        (1, 2, 5)
        if high > 10 * low
        else (1, 1.5, 2, 3, 5, 7)
        if high > 1.5 * low
        else (1, 1.2, 1.4, 1.6, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    )
    steps = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
    below = [step for step in steps if step <= low][-1:]
    above = [step for step in steps if step >= high][:1]
    return below + [step for step in steps if low < step < high] + above
