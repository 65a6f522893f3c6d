"""The charts of what was compared: speed-up, drop, and drop of each class, each with its interval and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeres.report.chart import Chart, Numbers, chart, color, go, lay_out, name_rows, text, whiskers
from edgeres.report.confusion import class_name
from edgeres.report.story import Comparison
from edgeres.report.wording import NONE, Figure, interval, number, points, times
from edgeres.results import BAND, Accuracy, ArtifactResult, DataRecord, Estimate

MOST_CLASSES = 12
"""At most as many classes are drawn: those with the largest drops."""

_DOTTED = {"dash": "dot", "width": 1.5, "color": "var(--muted)"}


@dataclass(frozen=True)
class Row:
    """An estimate of one artifact, which is at `position` in its comparison; the figure that is written above it."""

    position: int
    label: str
    estimate: Estimate
    figure: Figure


def speedups(comparison: Comparison) -> Chart | None:
    """The interval of every speed-up, one line each, beside the band within which timings are the same."""
    measured = [
        Row(
            position,
            comparison.label(each),
            each.latency.speedup,
            Figure(*_shown(times(each.latency.speedup)), verdict=each.latency.verdict or "no verdict"),
        )
        for position, each in enumerate(comparison.artifacts)
        if not each.baseline and each.latency and each.latency.speedup
    ]
    if not measured or comparison.baseline is None:
        return None
    figure = go.Figure()
    figure.add_vrect(x0=1 / (1 + BAND), x1=1 + BAND, fillcolor="var(--band)", line_width=0, layer="below")
    figure.add_vline(x=1, line=_DOTTED)
    _draw(figure, measured)
    lay_out(figure, height=150 + 56 * len(measured), x=f"Times the speed of {text(_base(comparison))}", y="")
    name_rows(figure, [each.label for each in measured])
    figure.update_xaxes(range=[0, 1.12 * max(1.0, *(each.estimate.high for each in measured))])
    return chart(
        "Speed-up",
        "Measured in interleaved rounds against the baseline, with intervals. Within the grey band, ±2 % around the "
        "same speed, a difference does not matter; an interval that reaches into it and out of it decides nothing.",
        figure,
        _numbers("Speed-up", measured),
    )


def drops(comparison: Comparison) -> Chart | None:
    """The interval of every drop of top-1, one line each, with the bound that the verdict goes by and the margin."""
    compared = [
        (Row(position, comparison.label(each), drop, _drop_figure(each.accuracy, drop)), each.accuracy)
        for position, each in enumerate(comparison.artifacts)
        if each.accuracy and (drop := each.accuracy.top1_drop_points)
    ]
    if not compared:
        return None
    rows = [row for row, _ in compared]
    figure = go.Figure()
    margins = [accuracy.margin_points for _, accuracy in compared]
    low, high = _extent([row.estimate for row in rows], [accuracy for _, accuracy in compared])
    for place, margin in enumerate(margins):
        if margin is not None:
            _beyond(figure, place, margin, high)
    figure.add_vline(x=0, line=_DOTTED)
    _draw(figure, rows)
    bounds = [(place, each.top1_drop_bounds_points) for place, (_, each) in enumerate(compared)]
    figure.add_trace(_ticks([(place, bound.high) for place, bound in bounds if bound]))
    lay_out(figure, height=150 + 56 * len(rows), x="Drop of top-1, percentage points", y="")
    name_rows(figure, [row.label for row in rows])
    figure.update_xaxes(range=[low, high])
    return chart(
        "Drop of accuracy",
        "On the same images as the baseline, with two-sided intervals; left of the dotted line an artifact is better. "
        "An artifact passes where its one-sided bound (the tall tick) stays out of the shaded part beyond the margin.",
        figure,
        _numbers("Drop", rows),
    )


def _shown(figure: Figure) -> tuple[str, str]:
    return figure.value, figure.note


def _drop_figure(accuracy: Accuracy, drop: Estimate) -> Figure:
    shown, bounds = points(drop), accuracy.top1_drop_bounds_points
    most = f"; at most {number(bounds.high, 2)}" if bounds else ""
    return Figure(shown.value, f"{shown.note}{most}", accuracy.verdict or "no verdict")


def _extent(estimates: Sequence[Estimate], accuracies: Sequence[Accuracy]) -> tuple[float, float]:
    """The ends of an axis that holds every interval, every bound, zero and the margins."""
    bounds = [each.top1_drop_bounds_points.high for each in accuracies if each.top1_drop_bounds_points]
    margins = [each.margin_points for each in accuracies if each.margin_points is not None]
    low = min(0.0, *(each.low for each in estimates))
    high = max(0.0, *(each.high for each in estimates), *bounds, *margins)
    room = 0.12 * (high - low or 1.0)
    return low - room, high + room


def _beyond(figure: Any, row: int, margin: float, end: float) -> None:
    """Shade one row's part beyond the margin; the margins of rows that lie together join to one line."""
    across = {"y0": row - 0.5, "y1": row + 0.5, "layer": "below"}
    figure.add_shape(type="rect", x0=margin, x1=end, fillcolor="var(--bad-back)", opacity=0.6, line_width=0, **across)
    figure.add_shape(type="line", x0=margin, x1=margin, line={"width": 1.5, "color": "var(--bad)"}, **across)


def _draw(figure: Any, rows: Sequence[Row]) -> None:
    """A point with its whiskers on each row, the value and the verdict written above it."""
    for place, row in enumerate(rows):
        shade = color(row.position)
        figure.add_trace(
            go.Scatter(
                x=[row.estimate.value],
                y=[place],
                error_x=whiskers([row.estimate], shade),
                mode="markers",
                marker={"size": 11, "color": shade},
                customdata=[f"{row.figure.value} ({row.figure.note})<br>{row.figure.verdict}"],
                name=text(row.label),
                hovertemplate="<b>%{fullData.name}</b><br>%{customdata}<extra></extra>",
            )
        )
        figure.add_annotation(
            x=row.estimate.value,
            y=place,
            yshift=21,
            text=f"{row.figure.value} {row.figure.verdict}",
            showarrow=False,
            font={"size": 12},
            bgcolor="var(--card)",
            borderpad=1,
        )


def _ticks(ends: Sequence[tuple[int, float]]) -> Any:
    return go.Scatter(
        x=[end for _, end in ends],
        y=[place for place, _ in ends],
        mode="markers",
        marker={"symbol": "line-ns", "size": 16, "line": {"width": 2.5, "color": "var(--text)"}},
        hovertemplate="one-sided bound %{x:.2f} points<extra></extra>",
        name="bound",
    )


def _numbers(what: str, rows: Sequence[Row]) -> Numbers:
    cells = tuple((row.label, row.figure.value, row.figure.note, row.figure.verdict) for row in rows)
    return Numbers(("Artifact", what, "Interval", "Verdict"), cells)


def _base(comparison: Comparison) -> str:
    baselines = [each for each in comparison.artifacts if each.baseline]
    return comparison.label(baselines[0]) if len(baselines) == 1 else "the baseline"


def class_drops(comparison: Comparison, chosen: ArtifactResult | None) -> Chart | None:
    """The drop of each class with its interval, a colour each artifact; of many classes those that lost the most.

    `chosen`: the artifact that is drawn at first where there are more than three.
    """
    data = comparison.data
    compared = [
        (position, each, each.accuracy.class_drops_points)
        for position, each in enumerate(comparison.artifacts)
        if each.accuracy and each.accuracy.class_drops_points
    ]
    if data is None or not compared:
        return None
    classes = _worst([each for *_, each in compared])
    if not classes:
        return None
    figure, few = go.Figure(), len(compared) <= 3
    for order, (position, artifact, found) in enumerate(compared):
        visible = True if few or artifact is chosen else "legendonly"
        shift = (order - (len(compared) - 1) / 2) * 0.22 if few else 0.0
        figure.add_trace(_class_trace(comparison, data, (position, artifact, found), classes, shift, visible))
    figure.add_vline(x=0, line=_DOTTED)
    height = 130 + (18 + 14 * min(3, len(compared))) * len(classes)
    lay_out(figure, height=height, x="Drop of the class, percentage points", y="")
    name_rows(figure, [class_name(data, index) for index in classes])
    figure.update_layout(showlegend=True)
    total = max(len(found) for *_, found in compared)
    which = f"The {len(classes)} of {total:,} classes that lost the most" if total > len(classes) else "Every class"
    more = "" if few else " A click in the legend shows or hides an artifact."
    return chart(
        "Drop of each class",
        f"{which}, with intervals of their own: among many classes, some lie aside by chance.{more}",
        figure,
        _class_numbers(comparison, data, compared, classes),
    )


def _worst(compared: Sequence[tuple[Estimate | None, ...]]) -> list[int]:
    """Classes by index, in order: the `MOST_CLASSES` with the largest drop of any artifact."""
    largest: dict[int, float] = {}
    for found in compared:
        for index, drop in enumerate(found):
            if drop is not None:
                largest[index] = max(drop.value, largest.get(index, drop.value))
    return sorted(sorted(largest, key=lambda index: (-largest[index], index))[:MOST_CLASSES])


def _class_trace(
    comparison: Comparison,
    data: DataRecord,
    measured: tuple[int, ArtifactResult, tuple[Estimate | None, ...]],
    classes: Sequence[int],
    shift: float,
    visible: bool | str,
) -> Any:
    position, artifact, found = measured
    places = [(place, index, found[index]) for place, index in enumerate(classes) if index < len(found)]
    drawn = [(place, index, drop) for place, index, drop in places if drop is not None]
    shade = color(position)
    return go.Scatter(
        x=[drop.value for *_, drop in drawn],
        y=[place + shift for place, *_ in drawn],
        error_x=whiskers([drop for *_, drop in drawn], shade) | {"width": 3},
        mode="markers",
        marker={"size": 8, "color": shade},
        visible=visible,
        name=text(comparison.label(artifact)),
        customdata=[f"{text(class_name(data, index))}<br>{interval(drop, ' points')}" for _, index, drop in drawn],
        hovertemplate="<b>%{fullData.name}</b><br>%{customdata}<extra></extra>",
    )


def _class_numbers(
    comparison: Comparison,
    data: DataRecord,
    compared: Sequence[tuple[int, ArtifactResult, tuple[Estimate | None, ...]]],
    classes: Sequence[int],
) -> Numbers:
    rows = []
    for index in classes:
        drops = [found[index] if index < len(found) else None for *_, found in compared]
        rows.append((class_name(data, index), *(interval(d, " points", decimals=2) if d else NONE for d in drops)))
    return Numbers(("Class", *(comparison.label(each) for _, each, _ in compared)), tuple(rows))
