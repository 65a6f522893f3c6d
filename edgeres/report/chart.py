"""What all charts share: their layout, and text that plotly shows as it is.

Colours are CSS variables, which the page's script resolves for light or dark. Every text that comes from outside
passes `text`: plotly reads a subset of HTML in labels.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeres.errors import require
from edgeres.report.wording import shortened
from edgeres.results import Estimate

go = require("plotly.graph_objects", extra="report", purpose="the HTML report")
"""plotly's figures, or the error that names the missing extra."""

io = require("plotly.io", extra="report", purpose="the HTML report")

SERIES = 8
"""Colours of the page's style sheet: `--series-0` … `--series-7`."""


@dataclass(frozen=True)
class Numbers:
    """What a chart shows, as the texts of a table: for who cannot see it, or wants to copy a figure."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chart:
    """A plotly figure as JSON, with the words around it and its numbers; None where a table beside it holds them."""

    title: str
    caption: str
    figure: str
    numbers: Numbers | None = None


def text(label: str, length: int = 28) -> str:
    """A label as plotly shows it literally, shortened to fit `length` characters."""
    return html.escape(shortened(label, length), quote=False)


def lay_out(figure: Any, *, height: int, x: str, y: str) -> None:
    """Give a figure the page's fonts, colours and axes; `height` in CSS pixels, `x` and `y` the axes' titles."""
    axis = {
        "automargin": True,
        "gridcolor": "var(--grid)",
        "zerolinecolor": "var(--grid)",
        "linecolor": "var(--line)",
        "tickcolor": "var(--line)",
        "fixedrange": False,
    }
    figure.update_layout(
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "var(--text)", "size": 13, "family": "system-ui, sans-serif"},
        hoverlabel={"bgcolor": "var(--card)", "bordercolor": "var(--line)", "font": {"color": "var(--text)"}},
        margin={"l": 12, "r": 16, "t": 34, "b": 12},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "var(--muted)", "activecolor": "var(--text)"},
        uirevision="kept",
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0, "itemsizing": "constant"},
        dragmode=False,
        xaxis={**axis, "title": {"text": x}},
        yaxis={**axis, "title": {"text": y}},
    )


def color(position: int) -> str:
    """The colour of the artifact at a position of its comparison; the same in every chart."""
    return f"var(--series-{position % SERIES})"


def whiskers(estimates: Sequence[Estimate], color: str, *, factor: float = 1) -> dict[str, Any]:
    """The intervals as plotly's error bars."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, each.high - each.value) * factor for each in estimates],
        "arrayminus": [max(0.0, each.value - each.low) * factor for each in estimates],
        "thickness": 2,
        "width": 6,
        "color": color,
    }


def name_rows(figure: Any, labels: Sequence[str], *, length: int = 18) -> None:
    """Name the rows of a chart that has one line for each label, the first at the top, by at most `length` letters."""
    figure.update_layout(showlegend=False)
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=[text(shortened(label, length)) for label in labels],
        range=[len(labels) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )


def chart(title: str, caption: str, figure: Any, numbers: Numbers | None = None) -> Chart:
    """A finished figure with the words around it."""
    content = figure.to_dict()
    content["layout"].pop("template", None)  # plotly's default one: 6 kB a chart, in colours that are not the page's
    return Chart(title, caption, io.to_json(content, validate=False, engine="json"), numbers)
