"""The charts of a comparison that span its artifacts: accuracy against latency, and a confusion matrix each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeres.report.chart import Chart, Numbers, chart, color, go, lay_out, text, whiskers
from edgeres.report.confusion import Confusions
from edgeres.report.story import Comparison
from edgeres.report.wording import NONE, interval, percent, quantity, shortened, size
from edgeres.results import Accuracy, ArtifactResult, Latency


@dataclass(frozen=True)
class Place:
    """An artifact that has both accuracy and latency, by its position in the comparison; is it on the front?"""

    position: int
    artifact: ArtifactResult
    accuracy: Accuracy
    latency: Latency
    leads: bool

    @property
    def point(self) -> tuple[float, float]:
        """Milliseconds and per cent."""
        return self.latency.p50_ms.value, self.accuracy.top1.value * 100


def pareto(comparison: Comparison, recipes: Mapping[str, str]) -> Chart | None:
    """Accuracy against latency with interval whiskers; a bubble's area is the size of the flatbuffer.

    `recipes`: what an artifact was made by, by the SHA-256 of its flatbuffer.
    """
    shown = _places(comparison)
    if not shown:
        return None
    figure = go.Figure()
    largest = max(1, *(place.artifact.size_bytes for place in shown))
    figure.add_trace(_staircase([place.point for place in shown if place.leads]))
    for place in shown:
        figure.add_trace(_bubble(comparison, place, largest, recipes.get(place.artifact.sha256)))
    lay_out(figure, height=440, x="Latency p50, ms", y="Top-1, %")
    figure.update_xaxes(rangemode="tozero")
    return chart(
        "Accuracy against latency",
        "Up and to the left is better. Whiskers are the intervals, a bubble’s area is the size of the file. The dotted "
        "line is the front: by their measured values, no artifact beats those with a contrasting rim on both axes.",
        figure,
        Numbers(
            ("Artifact", "Top-1", "p50", "Size", "On the front", "Recipe"),
            tuple(
                (
                    comparison.label(place.artifact),
                    interval(place.accuracy.top1, " %", factor=100, decimals=2),
                    interval(place.latency.p50_ms, " ms"),
                    size(place.artifact.size_bytes),
                    "yes" if place.leads else "no",
                    recipes.get(place.artifact.sha256, NONE),
                )
                for place in shown
            ),
        ),
    )


def _places(comparison: Comparison) -> list[Place]:
    measured = [
        (position, each, each.accuracy, each.latency)
        for position, each in enumerate(comparison.artifacts)
        if each.accuracy and each.latency
    ]
    points = [(latency.p50_ms.value, accuracy.top1.value * 100) for _, _, accuracy, latency in measured]
    leading = front(points)
    return [Place(*each, leads=point in leading) for each, point in zip(measured, points, strict=True)]


def _bubble(comparison: Comparison, place: Place, largest: int, recipe: str | None) -> Any:
    artifact, (x, y) = place.artifact, place.point
    top1, p50 = percent(place.accuracy.top1), quantity(place.latency.p50_ms, " ms")
    shade = color(place.position)
    details = [
        f"top-1 {top1.value} ({top1.note})",
        f"p50 {p50.value} ({p50.note})",
        size(artifact.size_bytes),
        *([text(recipe, 60)] if recipe else []),
        *(["on the front"] if place.leads else []),
    ]
    return go.Scatter(
        x=[x],
        y=[y],
        error_x=whiskers([place.latency.p50_ms], shade),
        error_y=whiskers([place.accuracy.top1], shade, factor=100),
        mode="markers",
        name=text(comparison.label(artifact)),
        marker={
            "size": 12 + 40 * math.sqrt(max(0, artifact.size_bytes) / largest),
            "color": shade,
            "opacity": 0.55,
            "line": {"width": 2.5, "color": "var(--text)" if place.leads else shade},
        },
        hovertemplate="<b>%{fullData.name}</b><br>%{text}<extra></extra>",
        text=["<br>".join(details)],
    )


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other is at least as fast and as accurate as, by rising latency."""
    found: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not found or y > found[-1][1]:
            found.append((x, y))
    return found


def _staircase(points: Sequence[tuple[float, float]]) -> Any:
    """What the front dominates begins at this line."""
    line = {"dash": "dot", "width": 1.5, "color": "var(--muted)", "shape": "hv"}
    x, y = zip(*sorted(points), strict=True)
    return go.Scatter(x=list(x), y=list(y), mode="lines", line=line, hoverinfo="skip", showlegend=False)


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
