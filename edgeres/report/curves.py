"""The charts of a training: loss, accuracy and learning rate over the epochs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from edgeres.report.chart import SERIES, Chart, Numbers, chart, go, lay_out, text
from edgeres.report.story import RunSource
from edgeres.report.wording import NONE

MOST_EPOCHS = 40
"""Rows of the table beside a curve, about."""


def training(runs: Iterable[RunSource]) -> tuple[Chart, ...]:
    """Loss, accuracy and learning rate of every run that has an epoch."""
    trained = [run for run in runs if run.history.epochs]
    if not trained:
        return ()
    solid = "The solid line is the validation split, the dashed one the training images as augmented."
    return (
        _curves(trained, "Loss", (("loss", "training", "dash"), ("val_loss", "validation", "solid")), solid),
        _curves(
            trained,
            "Accuracy, %",
            (("accuracy", "training", "dash"), ("val_accuracy", "validation", "solid")),
            solid,
            factor=100,
        ),
        _curves(trained, "Learning rate", (("learning_rate", "", "solid"),), "At the end of each epoch."),
    )


def _curves(
    runs: Sequence[RunSource], title: str, series: Iterable[tuple[str, str, str]], caption: str, *, factor: float = 1
) -> Chart:
    figure = go.Figure()
    for index, run in enumerate(runs):
        for field, name, dash in series:
            words = [run.path.name if len(runs) > 1 else "", name]
            figure.add_trace(
                go.Scatter(
                    x=[epoch.epoch for epoch in run.history.epochs],
                    y=[getattr(epoch, field) * factor for epoch in run.history.epochs],
                    mode="lines+markers" if len(run.history.epochs) == 1 else "lines",
                    name=text(" ".join(filter(None, words))),
                    line={"dash": dash, "width": 2, "color": f"var(--series-{(index + 1) % SERIES})"},
                    showlegend=bool(any(words)),
                    hovertemplate="epoch %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
                )
            )
    lay_out(figure, height=300, x="Epoch", y="")
    return chart(title, caption, figure, _numbers(runs, title, tuple(series), factor))


def _numbers(runs: Sequence[RunSource], title: str, series: Sequence[tuple[str, str, str]], factor: float) -> Numbers:
    """A row for each epoch of any run; every n-th and the last where they are more than `MOST_EPOCHS`."""
    last = max(len(run.history.epochs) for run in runs)
    step = math.ceil(last / MOST_EPOCHS)
    rows = []
    for place in sorted({*range(0, last, step), last - 1}):
        found = [run.history.epochs[place] if place < len(run.history.epochs) else None for run in runs]
        cells = [f"{getattr(epoch, field) * factor:.4g}" if epoch else NONE for epoch in found for field, *_ in series]
        rows.append((str(place + 1), *cells))
    names = [name or title.lower() for _, name, _ in series]
    heads = [" ".join(filter(None, (run.path.name if len(runs) > 1 else "", name))) for run in runs for name in names]
    return Numbers(("Epoch", *heads), tuple(rows))
