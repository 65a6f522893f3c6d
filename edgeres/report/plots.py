"""The charts of a comparison: accuracy against latency, speed-up, distribution of latency, confusion matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeres.report.chart import SERIES, Chart, chart, go, lay_out, text
from edgeres.report.confusion import Confusions
from edgeres.report.story import Comparison
from edgeres.report.wording import percent, quantity, shortened, size, times
from edgeres.results import Accuracy, ArtifactResult, Estimate, Latency

QUANTILES = 501
"""A distribution is drawn from at most this many evenly spaced quantiles of its samples."""


@dataclass(frozen=True)
class Place:
    """An artifact that has both accuracy and latency."""

    artifact: ArtifactResult
    accuracy: Accuracy
    latency: Latency


def pareto(comparison: Comparison) -> Chart | None:
    """Accuracy against latency with interval whiskers; a bubble's area is the size of the flatbuffer."""
    shown = [
        Place(each, each.accuracy, each.latency) for each in comparison.artifacts if each.accuracy and each.latency
    ]
    if not shown:
        return None
    figure = go.Figure()
    largest = max(1, *(place.artifact.size_bytes for place in shown))
    for place in shown:
        figure.add_trace(_bubble(comparison, place, largest))
    front = _front([(place.latency.p50_ms.value, place.accuracy.top1.value * 100) for place in shown])
    figure.add_trace(_dotted(front))
    lay_out(figure, height=420, x="Latency p50, ms", y="Top-1, %")
    figure.update_xaxes(rangemode="tozero")
    return chart(
        "Accuracy against latency",
        "Up and to the left is better. Whiskers are the intervals, a bubble’s area is the size of the file. "
        "The dotted line joins the artifacts that no other beats on both axes, by their measured values.",
        figure,
    )


def _bubble(comparison: Comparison, place: Place, largest: int) -> Any:
    artifact, accuracy, latency = place.artifact, place.accuracy, place.latency
    top1, p50 = percent(accuracy.top1), quantity(latency.p50_ms, " ms")
    color = _color(comparison, artifact)
    return go.Scatter(
        x=[latency.p50_ms.value],
        y=[accuracy.top1.value * 100],
        error_x=_whiskers([latency.p50_ms], color),
        error_y=_whiskers([accuracy.top1], color, factor=100),
        mode="markers",
        name=text(comparison.label(artifact)),
        marker={
            "size": 12 + 40 * math.sqrt(max(0, artifact.size_bytes) / largest),
            "color": color,
            "opacity": 0.55,
            "line": {"width": 2, "color": color},
        },
        hovertemplate="%{fullData.name}<br>%{text}<extra></extra>",
        text=[f"top-1 {top1.value} ({top1.note})<br>p50 {p50.value} ({p50.note})<br>{size(artifact.size_bytes)}"],
    )


def _front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other is at least as fast and as accurate as, by rising latency."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return front


def _dotted(points: Sequence[tuple[float, float]]) -> Any:
    line = {"dash": "dot", "width": 1.5, "color": "var(--muted)"}
    x, y = [point[0] for point in points], [point[1] for point in points]
    return go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False)


def speedups(comparison: Comparison) -> Chart | None:
    """The interval of every speed-up, one line each."""
    measured = [
        (each, each.latency.speedup, each.latency.verdict or "no verdict")
        for each in comparison.others
        if each.latency and each.latency.speedup
    ]
    if not measured or comparison.baseline is None:
        return None
    figure = go.Figure()
    for row, (artifact, ratio, verdict) in enumerate(measured):
        shown, color = times(ratio), _color(comparison, artifact)
        figure.add_trace(
            go.Scatter(
                x=[ratio.value],
                y=[row],
                error_x=_whiskers([ratio], color),
                mode="markers",
                marker={"size": 11, "color": color},
                text=[f"{shown.value} ({shown.note})<br>{verdict}"],
                name=text(comparison.label(artifact)),
                hovertemplate="%{fullData.name}<br>%{text}<extra></extra>",
            )
        )
    figure.add_vline(x=1, line={"dash": "dot", "width": 1.5, "color": "var(--muted)"})
    lay_out(figure, height=150 + 48 * len(measured), x=f"Times the speed of {text(_base(comparison))}", y="")
    _rows(figure, [f"{comparison.label(each)}" for each, *_ in measured])
    figure.update_xaxes(rangemode="tozero")
    return chart(
        "Speed-up",
        "Measured in interleaved rounds against the baseline, with intervals. "
        "An interval that crosses the dotted line does not tell which is faster.",
        figure,
    )


def _base(comparison: Comparison) -> str:
    baselines = [each for each in comparison.artifacts if each.baseline]
    return comparison.label(baselines[0]) if len(baselines) == 1 else "the baseline"


def latencies(comparison: Comparison) -> Chart | None:
    """The distribution of the raw times of every artifact."""
    timed = [(each, samples) for each in comparison.artifacts if each.latency and (samples := quantiles(each.latency))]
    if not timed:
        return None
    figure = go.Figure()
    for row, (artifact, samples) in enumerate(timed):
        figure.add_trace(
            go.Box(
                x=samples,
                y=[row] * len(samples),
                orientation="h",
                width=0.55,
                name=text(comparison.label(artifact)),
                boxpoints="outliers",
                marker={"size": 3, "color": _color(comparison, artifact)},
                line={"width": 1.5},
                hoverinfo="x",
                hoverlabel={"namelength": 0},
            )
        )
    lay_out(figure, height=150 + 48 * len(timed), x="Time, ms (log scale)", y="")
    _rows(figure, [comparison.label(each) for each, _ in timed])
    ticks = _ticks(min(samples[0] for _, samples in timed), max(samples[-1] for _, samples in timed))
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    drawn = sum(len(each) for artifact, _ in timed if artifact.latency for each in artifact.latency.rounds)
    return chart(
        "Distribution of latency",
        f"The time of every inference measured ({drawn:,} in all): the box holds the middle half, the line in it is "
        f"the median, dots are outliers. Long series are drawn from {QUANTILES} quantiles.",
        figure,
    )


def quantiles(latency: Latency) -> list[float]:
    """The raw times in ms, sorted; thinned to evenly spaced quantiles (lowest and highest kept) where they are many."""
    times_ms = np.sort(np.asarray([value for each in latency.rounds for value in each], np.float64))
    times_ms = times_ms[np.isfinite(times_ms) & (times_ms > 0)]
    if len(times_ms) > QUANTILES:
        times_ms = np.quantile(times_ms, np.linspace(0, 1, QUANTILES))
    return [float(f"{value:.5g}") for value in times_ms]


def _ticks(low: float, high: float) -> list[float]:
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


def heatmaps(confusions: Confusions) -> tuple[Chart, ...]:
    """One matrix an artifact: rows are the true classes, columns the predicted ones, coloured by share of the row."""
    charts = []
    labels = [text(shortened(label, 16)) for label in confusions.labels]
    places = list(range(len(labels)))
    for artifact in confusions.artifacts:
        counts = confusions.matrix(artifact)
        share = [[100 * n / max(1, sum(row)) for n in row] for row in counts]
        figure = go.Figure(
            go.Heatmap(
                z=share,
                zmin=0,
                zmax=100,
                text=[[str(n) if n else "" for n in row] for row in counts],
                customdata=[
                    [[true, predicted, n] for predicted, n in zip(labels, row, strict=True)]
                    for true, row in zip(labels, counts, strict=True)
                ],
                texttemplate="%{text}" if len(labels) <= 12 else None,
                hovertemplate="%{customdata[0]} taken for %{customdata[1]}: %{customdata[2]} (%{z:.1f} % of the row)"
                "<extra></extra>",
                colorscale=[[0, "var(--heat-low)"], [0.15, "var(--heat-mid)"], [1, "var(--heat-high)"]],
                showscale=False,
                xgap=1,
                ygap=1,
            )
        )
        lay_out(figure, height=400, x="Predicted", y="True")
        figure.update_layout(margin={"t": 8})
        axis = {"tickvals": places, "ticktext": labels, "showgrid": False, "zeroline": False, "ticks": ""}
        figure.update_xaxes(**axis, side="bottom")
        figure.update_yaxes(**axis, autorange="reversed")
        charts.append(chart(artifact.name, "", figure))
    return tuple(charts)


def _color(comparison: Comparison, artifact: ArtifactResult) -> str:
    return f"var(--series-{comparison.artifacts.index(artifact) % SERIES})"


def _whiskers(estimates: Sequence[Estimate], color: str, *, factor: float = 1) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, each.high - each.value) * factor for each in estimates],
        "arrayminus": [max(0.0, each.value - each.low) * factor for each in estimates],
        "thickness": 2,
        "width": 6,
        "color": color,
    }


def _rows(figure: Any, labels: Sequence[str]) -> None:
    """Name the rows of a chart that has one artifact a line, the first at the top."""
    names = [text(shortened(label, 18)) for label in labels]
    figure.update_layout(showlegend=False)
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=names,
        range=[len(labels) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )
