"""The commands that work on results: check, compare, history."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import click

from edgeres.options import JSON, writable

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def _bytes(context: click.Context, _: click.Parameter, value: str | None) -> int | None:
    """A size: bytes, or with a unit (300kB, 1.5MB, 1MiB)."""
    if value is None or context.resilient_parsing:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value, re.ASCII)
    if found is None or found[2].upper() not in _UNITS:
        raise click.BadParameter(f"{value!r} is no size: give bytes, or a unit as in 300kB, 1.5MB, 1MiB")
    return round(float(found[1]) * _UNITS[found[2].upper()])


def _finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    """A number that is neither NaN, which passes every range, nor infinite."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number")
    return value


_POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command(short_help="Hold measurements against limits: a gate for CI.")
@click.argument("results", nargs=-1, required=True, metavar="RESULT.json…", type=click.Path(path_type=Path))
@click.option(
    "--max-drop",
    type=click.FloatRange(0, 100),
    callback=_finite,
    metavar="PT",
    help="Top-1 drop against the baseline, in points.",
)
@click.option(
    "--min-speedup", type=_POSITIVE, callback=_finite, metavar="R", help="Speed as a multiple of the baseline's."
)
@click.option(
    "--max-latency-ratio", type=_POSITIVE, callback=_finite, metavar="R", help="Time as a multiple of the baseline's."
)
@click.option("--max-latency-ms", type=_POSITIVE, callback=_finite, metavar="MS", help="Median time of one image.")
@click.option("--max-size", callback=_bytes, metavar="SIZE", help="Of the flatbuffer: bytes, or 300kB, 1MiB.")
@click.option("--max-memory", callback=_bytes, metavar="SIZE", help="Peak memory while it runs.")
@click.option("--artifact", metavar="NAME", help="Only this one. [default: all but baselines]")
@click.option(
    "--junit",
    "junit_file",
    type=click.Path(path_type=Path),
    callback=writable,
    metavar="F.xml",
    help="Also write JUnit XML.",
)
@JSON
def check(
    results: tuple[Path, ...], artifact: str | None, junit_file: Path | None, json_file: Path | None, **limits: Any
) -> None:
    """Hold the results of evaluate and profile against limits; for scripts and CI.

    A gate is passed where the whole interval of its figure is on the good side of the limit. Exit code 7 where one is
    missed or inconclusive, with what would decide: so many more images, or rounds.
    """
    from edgeres.records import write_json
    from edgeres.report.terminal import output, plain_table
    from edgeres.results import read_result
    from edgeres.storage import write_text
    from targets.gates import Limits
    from targets.gates import check as hold
    from targets.junit import amount, junit, limit

    if all(value is None for value in limits.values()):
        raise click.UsageError("say what to check: --max-drop, --min-speedup, --max-size, …")
    if junit_file is not None and json_file is not None and junit_file.resolve() == json_file.resolve():
        raise click.UsageError(f"--junit and --json are both {junit_file}: name another file for one of them")
    checked = hold([(path, read_result(path)) for path in dict.fromkeys(results)], Limits(**limits), artifact=artifact)
    rows = [
        (gate.gate, gate.artifact, gate.target or "", limit(gate), amount(gate), gate.outcome, gate.decide or "")
        for gate in checked.gates
    ]
    output().print(plain_table(("gate", "artifact", "target", "limit", "found", "", "what would decide"), rows))
    if json_file:
        write_json(json_file, checked)
    if junit_file:
        write_text(junit_file, junit(checked))
    checked.require()


@click.command(short_help="Say what changed between two results.")
@click.argument("before", metavar="A.json", type=click.Path(path_type=Path))
@click.argument("after", metavar="B.json", type=click.Path(path_type=Path))
@JSON
def compare(before: Path, after: Path, json_file: Path | None) -> None:
    """Say what changed between two results: of two commits, two devices, or two days.

    Names what differs in machine, software, images and models, and pairs accuracies on the same images. Times that were
    not measured in the same rounds are set side by side, and are not comparable between machines.
    """
    from edgeres.records import write_json
    from edgeres.report.terminal import output, plain_table
    from edgeres.results import read_result
    from targets.comparison import compare as changes
    from targets.comparison_table import comparison_tables

    found = changes(read_result(before), read_result(after))
    for heads, rows in comparison_tables(found):
        output().print(plain_table(heads, rows))
    if not found.rows:
        click.echo("the results have no artifact in common: the same name on the same target")
    if json_file:
        write_json(json_file, found)


@click.command(short_help="Show how a model's figures went over time.")
@click.argument("file", metavar="FILE.sqlite", type=click.Path(path_type=Path))
@click.argument("model", required=False)
@JSON
def history(file: Path, model: str | None, json_file: Path | None) -> None:
    """Show the trend of MODEL, an artifact's name, in a file written by --history; or list what it holds.

    Each figure is marked against the one before: higher, lower, or overlapping intervals. Accuracies are compared on
    the same images, times on the same machine, target and threads.
    """
    from edgeres.history import read
    from edgeres.records import write_json
    from edgeres.report.terminal import output
    from edgeres.report.trend import models_table, trend_table

    entries = read(file, model)
    output().print(models_table(entries) if model is None else trend_table(entries))
    if json_file:
        write_json(json_file, {"schema": "edgeres.history/1", "entries": entries})
