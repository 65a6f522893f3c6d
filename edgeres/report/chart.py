"""What all charts share: their layout, and text that plotly shows as it is.

Colours are CSS variables, which the page's script resolves for light or dark. Every text that comes from outside
passes `text`: plotly reads a subset of HTML in labels.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from edgeres.errors import require
from edgeres.report.wording import shortened

go = require("plotly.graph_objects", extra="report", purpose="the HTML report")
"""plotly's figures, or the error that names the missing extra."""

io = require("plotly.io", extra="report", purpose="the HTML report")

SERIES = 8
"""Colours of the page's style sheet: `--series-0` … `--series-7`."""


@dataclass(frozen=True)
class Chart:
    """A plotly figure as JSON, with the words around it."""

    title: str
    caption: str
    figure: str


def text(label: str) -> str:
    """A label as plotly shows it literally, shortened to fit."""
    return html.escape(shortened(label), quote=False)


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


def chart(title: str, caption: str, figure: Any) -> Chart:
    """A finished figure with the words around it."""
    content = figure.to_dict()
    content["layout"].pop("template", None)  # plotly's default one: 6 kB a chart, in colours that are not the page's
    return Chart(title, caption, io.to_json(content, validate=False, engine="json"))
