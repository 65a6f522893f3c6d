"""The report as one HTML page that works offline: text, tables and interactive charts, nothing fetched.

A content security policy in the page allows its own scripts by their hash and no request at all, so that a label or a
file name could not run anything even if it were not escaped, which it is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from edgeres import __version__
from edgeres.data import Split
from edgeres.errors import DataError, require
from edgeres.printable import clean
from edgeres.report import distributions, headline, intervals, plots, provenance, table
from edgeres.report.chart import Chart
from edgeres.report.conditions import remarks
from edgeres.report.confusion import Confusions, confusions
from edgeres.report.curves import training
from edgeres.report.flips import Flips, flips
from edgeres.report.layers import layer_charts
from edgeres.report.lead import lead, outstanding
from edgeres.report.samples import Samples, first_images, golden_samples, reopened
from edgeres.report.score_table import ScoreTable, score_table
from edgeres.report.story import Comparison, Story
from edgeres.report.wording import percent, spoken

jinja2 = require("jinja2", extra="report", purpose="the HTML report")
markupsafe = require("markupsafe", extra="report", purpose="the HTML report")
offline = require("plotly.offline", extra="report", purpose="the HTML report")

WORST_PAIRS = 12
"""Rows of the table of most confused classes."""


@dataclass(frozen=True)
class Section:
    """One comparison, as the template takes it; an empty tuple or None is a part that was not measured."""

    number: int
    comparison: Comparison
    grid: table.Grid
    startup: table.Grid | None
    scores: ScoreTable | None
    remarks: tuple[str, ...]
    charts: tuple[Chart, ...]
    layers: tuple[Chart, ...]
    class_drops: Chart | None
    confusions: Confusions | None
    heatmaps: tuple[Chart, ...]
    pairs: tuple[tuple[str, str, tuple[int, ...]], ...]
    flips: Flips | None
    samples: Samples | None
    no_samples: str | None


def render(story: Story) -> str:
    """A story as one self-contained page; images are read again from the data where these are here."""
    made = provenance.recipes(story)
    sections = tuple(_section(number, each, made) for number, each in enumerate(story.comparisons, start=1))
    lost = not any(section.samples for section in sections)
    style, script, library = asset("report.css"), asset("report.js"), offline.get_plotlyjs().replace("\r\n", "\n")
    page: str = (
        environment()
        .get_template("report.html.j2")
        .render(
            facts=headline.model_facts(story),
            lead=lead(story),
            sentences=headline.sentences(story),
            sections=sections,
            curves=training(story.runs),
            runs=story.runs,
            results=story.results,
            bundles=story.bundles,
            golden=golden_samples(story.bundles) if lost else (),
            machines=provenance.machines(story),
            methods=provenance.methods(story),
            hashes=provenance.hashes(story),
            commands=provenance.commands(story),
            version=__version__,
            style=trusted(style),
            script=trusted(script),
            library=trusted(library),
            policy=policy(script, library),
        )
    )
    return page


def _section(number: int, comparison: Comparison, made: dict[str, str]) -> Section:
    counted, chosen = confusions(comparison), outstanding(comparison)
    split, problem = _images(comparison)
    charts = (
        plots.pareto(comparison, made),
        intervals.speedups(comparison),
        intervals.drops(comparison),
        distributions.latencies(comparison),
    )
    return Section(
        number,
        comparison,
        grid=table.grid(comparison),
        startup=table.startup_grid(comparison),
        scores=score_table(comparison.artifacts, comparison.data, label=comparison.label),
        remarks=tuple(remarks(comparison.artifacts)),
        charts=tuple(chart for chart in charts if chart),
        layers=layer_charts(comparison, chosen),
        class_drops=intervals.class_drops(comparison, chosen),
        confusions=counted,
        heatmaps=plots.heatmaps(counted) if counted and counted.fits_heatmap else (),
        pairs=counted.worst(WORST_PAIRS) if counted else (),
        flips=flips(comparison, split),
        samples=first_images(comparison, split) if split else None,
        no_samples=problem,
    )


def _images(comparison: Comparison) -> tuple[Split | None, str | None]:
    """The images that were measured, or why they are not shown."""
    try:
        return reopened(comparison.data), None
    except DataError as problem:
        return None, problem.message


def policy(*scripts: str) -> str:
    """The page's content security policy: these scripts, inline styles and embedded images; no request."""
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def asset(name: str) -> str:
    """One of our own files that go into pages."""
    return (files("edgeres.report") / "templates" / name).read_text(encoding="utf-8")


def trusted(content: str) -> Any:
    """Our own files, and plotly's, go into the page as they are."""
    return markupsafe.Markup(content)  # nosec B704


def environment() -> Any:
    """Where the templates are; every value that they print is escaped and loses its control characters."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgeres.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean,
    )
    environment.globals["percent"] = lambda estimate: spoken(estimate, percent(estimate))
    environment.filters["data"] = inline_json
    environment.filters["pretty"] = _pretty
    return environment


def _clean(value: Any) -> Any:
    """Every string that the template prints loses its control characters; trusted markup is left alone."""
    return clean(value) if type(value) is str and not value.isprintable() else value


def inline_json(figure: str) -> Any:
    """JSON inside a script element: no `<`, so that nothing in it can end the element."""
    return markupsafe.Markup(re.sub("[<>&\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", figure))  # nosec B704


def _pretty(value: Any) -> Any:
    """Nested values as indented text; the line breaks are ours, so they stay; joining escapes."""
    lines = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str).split("\n")
    return markupsafe.Markup("\n").join(map(clean, lines))
