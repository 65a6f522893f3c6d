"""A study of sensitivity as one HTML page that works offline: a heat-map of drops, the table behind it, the recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgeres import __version__
from edgeres.report.chart import Chart, chart, go, lay_out, text
from edgeres.report.html import asset, environment, offline, policy, trusted
from edgeres.report.sensitivity_wording import Wording, recommended, wording_of
from edgeres.report.wording import Figure, number, percent, points
from edgeres.sensitivity import Cell, Findings, Part


@dataclass(frozen=True)
class Row:
    """A part as the table shows it: a figure for each column, None where nothing changes, and what is recommended."""

    part: Part
    figures: tuple[Figure | None, ...]
    chosen: str


def render(findings: Findings, recipe: str) -> str:
    """The page; `recipe` is the text of the recommended one."""
    style, script, library = (
        asset("report.css"),
        asset("report.js"),
        offline.get_plotlyjs().replace("\r\n", "\n"),
    )
    page: str = (
        environment()
        .get_template("sensitivity.html.j2")
        .render(
            findings=findings,
            words=wording_of(findings),
            limit=f"{findings.max_drop:g}",
            record=findings.record,
            chart=heatmap(findings),
            rows=tuple(_row(findings, part) for part in findings.ranked),
            together=findings.together,
            drop=points(findings.together.drop_points) if findings.together else None,
            recipe=recipe.splitlines(),
            version=__version__,
            style=trusted(style),
            script=trusted(script),
            library=trusted(library),
            policy=policy(script, library),
        )
    )
    return page


def heatmap(findings: Findings) -> Chart:
    """Drop in points of each part (a row) in each column; recommended cells carry a tick."""
    parts, columns = findings.ranked, findings.columns
    cells = [[findings.cell(part.name, column) for column in columns] for part in parts]
    worst = max((cell.drop_points.value for row in cells for cell in row if cell), default=0.0)
    figure = go.Figure(
        go.Heatmap(
            z=[[cell.drop_points.value if cell else None for cell in row] for row in cells],
            zmin=0,
            zmax=max(worst, findings.max_drop, 1.0),
            text=[[_label(findings, part, column) for column in columns] for part in parts],
            customdata=[
                [_hover(part, findings.cell(part.name, column), wording_of(findings)) for column in columns]
                for part in parts
            ],
            texttemplate="%{text}",
            hovertemplate="%{customdata}<extra></extra>",
            hoverongaps=False,
            colorscale=[[0, "var(--heat-low)"], [0.15, "var(--heat-mid)"], [1, "var(--heat-high)"]],
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    lay_out(figure, height=120 + 28 * len(parts), x=wording_of(findings).axis, y="")
    axis = {"showgrid": False, "zeroline": False, "ticks": ""}
    figure.update_xaxes(**axis, tickvals=list(range(len(columns))), ticktext=[text(each) for each in columns])
    names = [text(part.name) for part in parts]
    figure.update_yaxes(**axis, tickvals=list(range(len(parts))), ticktext=names, autorange="reversed")
    return chart(
        "Drop of top-1, points",
        wording_of(findings).caption.format(limit=f"{findings.max_drop:g}"),
        figure,
    )


def _label(findings: Findings, part: Part, column: str) -> str:
    cell = findings.cell(part.name, column)
    if cell is None:
        return ""
    tick = " ✓" if findings.chosen.get(part.name) == column else ""
    return f"{number(cell.drop_points.value, 1)}{tick}"


def _hover(part: Part, cell: Cell | None, words: Wording) -> str:
    if cell is None:
        return ""
    drop, top1 = points(cell.drop_points), percent(cell.top1)
    left, own = number(100 * cell.macs_share, 1), number(100 * part.macs_share, 1)
    return "<br>".join(
        (
            f"{text(part.name)}: {text(cell.setting)}",
            f"drop {drop.value} ({drop.note})",
            f"top-1 {top1.value} ({top1.note})",
            f"{words.together.format(share=left)}; the {words.part} has {own} %",
            *([f"SQNR {number(cell.sqnr_db, 1)} dB"] if cell.sqnr_db is not None else []),
        )
    )


def _row(findings: Findings, part: Part) -> Row:
    found = [findings.cell(part.name, column) for column in findings.columns]
    figures = tuple(_figure(cell) if cell else None for cell in found)
    return Row(part, figures, recommended(findings, part.name))


def _figure(cell: Cell) -> Figure:
    drop = points(cell.drop_points)
    return drop if cell.sqnr_db is None else replace(drop, note=f"{drop.note}; SQNR {number(cell.sqnr_db, 1)} dB")
