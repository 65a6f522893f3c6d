"""The charts of layers: the time of each, its activations and its weights, artifacts side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgeres.report.chart import Chart, Numbers, chart, color, go, lay_out, name_rows, text, whiskers
from edgeres.report.story import Comparison
from edgeres.report.wording import NONE, interval, number, quantity, size
from edgeres.results import ArtifactResult, OperatorTime, OperatorTimes

MOST_LAYERS = 24
"""At most as many layers are drawn: those that take longest in any artifact, or hold most."""

Key = tuple[str, str, int]
"""A layer's name, an operator's kind, and which of that name and kind it is: the same in two artifacts."""


@dataclass(frozen=True)
class Profile:
    """The timed operators of one artifact, which is at `position` in its comparison."""

    position: int
    artifact: ArtifactResult
    label: str
    times: OperatorTimes
    operators: dict[Key, OperatorTime]


def profiles(comparison: Comparison) -> tuple[Profile, ...]:
    """Those of the artifacts whose operators were timed."""
    return tuple(
        Profile(position, each, comparison.label(each), timed, _keyed(timed.each))
        for position, each in enumerate(comparison.artifacts)
        if each.operators and (timed := each.operators.timed) and timed.each
    )


def _keyed(operators: Sequence[OperatorTime]) -> dict[Key, OperatorTime]:
    found: dict[Key, OperatorTime] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for each in sorted(operators, key=lambda operator: operator.index):
        found[each.layer, each.kind, seen[each.layer, each.kind]] = each
        seen[each.layer, each.kind] += 1
    return found


def layer_charts(comparison: Comparison, chosen: ArtifactResult | None) -> tuple[Chart, ...]:
    """Time, activations and weights of each layer; nothing where no operator was timed.

    `chosen`: the artifact that is drawn beside the baseline at first, where there are more than three.
    """
    timed = profiles(comparison)
    if not timed:
        return ()
    return (
        _times(timed, chosen),
        _bytes(timed, chosen, "Activations of each layer", "what a layer writes", lambda each: each.activation_bytes),
        _bytes(timed, chosen, "Weights of each layer", "its constants in the file", lambda each: each.weight_bytes),
    )


def _times(timed: Sequence[Profile], chosen: ArtifactResult | None) -> Chart:
    rows, total = _rows(timed, lambda each: each.time_ms.value)
    figure = go.Figure()
    for profile in timed:
        figure.add_trace(_time_bars(profile, rows, visible=_visible(profile, timed, chosen)))
    _lay_out(figure, rows, len(timed), "Time, ms")
    numbers = _numbers(timed, rows, lambda each: interval(each.time_ms, " ms"))
    sums = (
        ("All operators", "", *(interval(each.times.sum_ms, " ms") for each in timed)),
        ("The whole inference", "", *(interval(each.times.total_ms, " ms") for each in timed)),
    )
    return chart(
        "Time of each layer",
        f"{_which(rows, total, 'slowest')}, in the network’s order, each timed on its own, with intervals. "
        f"Hatched bars ran outside a delegate.{_more(timed)}",
        figure,
        replace(numbers, rows=(*numbers.rows, *sums)),
    )


def _time_bars(profile: Profile, rows: Sequence[Key], *, visible: bool | str) -> Any:
    shade = color(profile.position)
    there = [(place, profile.operators[key]) for place, key in enumerate(rows) if key in profile.operators]
    shown = [quantity(each.time_ms, " ms") for _, each in there]
    whole = profile.times.sum_ms.value or 1.0
    return go.Bar(
        x=[each.time_ms.value for _, each in there],
        y=[place for place, _ in there],
        orientation="h",
        error_x=whiskers([each.time_ms for _, each in there], "var(--text)") | {"width": 2, "thickness": 1},
        marker={
            "color": shade,
            "pattern": {
                "shape": ["" if each.delegated else "/" for _, each in there],
                "fillmode": "overlay",
                "fgcolor": "var(--card)",
                "size": 6,
                "solidity": 0.35,
            },
        },
        visible=visible,
        name=text(profile.label),
        customdata=[
            f"{text(each.layer, 48)}, {text(each.kind)}<br>{time.value} ({time.note})<br>"
            f"{number(100 * each.time_ms.value / whole, 1)} % of all; "
            f"{'by the delegate' if each.delegated else 'outside a delegate'}"
            for (_, each), time in zip(there, shown, strict=True)
        ],
        hovertemplate="<b>%{fullData.name}</b><br>%{customdata}<extra></extra>",
    )


def _bytes(
    timed: Sequence[Profile],
    chosen: ArtifactResult | None,
    title: str,
    meaning: str,
    value: Callable[[OperatorTime], int],
) -> Chart:
    rows, total = _rows(timed, value)
    figure = go.Figure()
    for profile in timed:
        there = [(place, profile.operators[key]) for place, key in enumerate(rows) if key in profile.operators]
        figure.add_trace(
            go.Bar(
                x=[value(each) / 1000 for _, each in there],
                y=[place for place, _ in there],
                orientation="h",
                marker={"color": color(profile.position)},
                visible=_visible(profile, timed, chosen),
                name=text(profile.label),
                customdata=[f"{text(each.layer, 48)}, {text(each.kind)}<br>{size(value(each))}" for _, each in there],
                hovertemplate="<b>%{fullData.name}</b><br>%{customdata}<extra></extra>",
            )
        )
    _lay_out(figure, rows, len(timed), "kB")
    caption = (
        f"{_which(rows, total, 'largest')}, in the network’s order: {meaning}. Counted, not measured.{_more(timed)}"
    )
    return chart(title, caption, figure, _numbers(timed, rows, lambda each: size(value(each))))


def _rows(timed: Sequence[Profile], value: Callable[[OperatorTime], float]) -> tuple[list[Key], int]:
    """The layers to draw, those with the largest values, in the order of the first artifact; and how many there are."""
    order: dict[Key, float] = {}
    for profile in timed:
        for key, each in profile.operators.items():
            order[key] = max(value(each), order.get(key, 0.0))
    places = {key: place for place, key in enumerate(_merged([list(profile.operators) for profile in timed]))}
    largest = sorted((key for key in order if order[key] > 0), key=lambda key: (-order[key], places[key]))
    return sorted(largest[:MOST_LAYERS], key=places.__getitem__), len(order)


def _merged(orders: Sequence[list[Key]]) -> list[Key]:
    """One order of all layers: that of the first artifact, what only others have after what precedes it there."""
    found = list(orders[0])
    for order in orders[1:]:
        place = 0
        for key in order:
            if key in found:
                place = found.index(key) + 1
            else:
                found.insert(place, key)
                place += 1
    return found


def _visible(profile: Profile, timed: Sequence[Profile], chosen: ArtifactResult | None) -> bool | str:
    few = len(timed) <= 3 or profile.artifact.baseline or profile.artifact is chosen
    return True if few else "legendonly"


def _more(timed: Sequence[Profile]) -> str:
    return " A click in the legend shows or hides an artifact." if len(timed) > 3 else ""


def _which(rows: Sequence[Key], total: int, what: str) -> str:
    return f"The {len(rows)} {what} of {total:,} operators" if len(rows) < total else f"All {total:,} operators"


def _lay_out(figure: Any, rows: Sequence[Key], artifacts: int, unit: str) -> None:
    lay_out(figure, height=130 + (12 + 9 * min(3, artifacts)) * len(rows), x=unit, y="")
    name_rows(figure, [layer if not place else f"{layer} ({place + 1})" for layer, _, place in rows], length=26)
    figure.update_layout(showlegend=True, barmode="group", bargap=0.28, bargroupgap=0)
    figure.update_xaxes(rangemode="tozero")


def _numbers(timed: Sequence[Profile], rows: Sequence[Key], cell: Callable[[OperatorTime], str]) -> Numbers:
    heads = ("Layer", "Operator", *(profile.label for profile in timed))
    return Numbers(
        heads,
        tuple(
            (key[0], key[1], *(cell(each) if (each := profile.operators.get(key)) else NONE for profile in timed))
            for key in rows
        ),
    )
