"""Each artifact against the baseline, as the cells of a table that the page and Markdown both print."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgeres.report.story import Comparison
from edgeres.report.wording import NONE, Figure, percent, points, precisions, quantity, size, times
from edgeres.results import ArtifactResult, CompilerEstimate, Operators, Startup

COLUMNS = (
    "Size", "Of baseline", "Top-1", "Drop", "Agreement", "p50", "p90", "p99", "Speed-up", "Memory", "Delegated",
)  # fmt: skip

_WHERE_MEASURED = ("p99",)
"""Columns that are left out where no artifact has the figure."""

STARTUP = ("Initialization", "First inference", "Loaded", "Peak", "Starts")


@dataclass(frozen=True)
class Row:
    """One artifact: its name, whether it is the baseline, where it ran, and a figure for each of the columns."""

    name: str
    baseline: bool
    target: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Grid:
    """A table: the names of its columns, and a row for each artifact, the baseline first."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def grid(comparison: Comparison) -> Grid:
    """What was measured of each artifact, against the baseline."""
    found = [_figures(artifact, comparison.baseline_of(artifact)) for artifact in comparison.artifacts]
    kept = [
        place
        for place, column in enumerate(COLUMNS)
        if column not in _WHERE_MEASURED or any(figures[place].value != NONE for figures in found)
    ]
    rows = (
        _row(comparison, artifact, tuple(figures[place] for place in kept))
        for artifact, figures in zip(comparison.artifacts, found, strict=True)
    )
    return Grid(tuple(COLUMNS[place] for place in kept), tuple(rows))


def startup_grid(comparison: Comparison) -> Grid | None:
    """How each artifact starts, in fresh processes; None where that was not measured."""
    started = [(artifact, artifact.startup) for artifact in comparison.artifacts if artifact.startup]
    rows = (_row(comparison, artifact, _started(startup)) for artifact, startup in started)
    return Grid(STARTUP, tuple(rows)) if started else None


def _row(comparison: Comparison, artifact: ArtifactResult, figures: tuple[Figure, ...]) -> Row:
    return Row(comparison.label(artifact), artifact.baseline, artifact.target, figures)


def _started(startup: Startup) -> tuple[Figure, ...]:
    return (
        quantity(startup.initialization_ms, " ms"),
        quantity(startup.first_ms, " ms"),
        quantity(startup.load_bytes, " MB", factor=1e-6, decimals=1),
        quantity(startup.peak_bytes, " MB", factor=1e-6, decimals=1),
        Figure(f"{len(startup.starts):,}"),
    )


def _figures(artifact: ArtifactResult, baseline: ArtifactResult | None) -> tuple[Figure, ...]:
    accuracy, latency = artifact.accuracy, artifact.latency
    none = Figure(NONE)
    return (
        Figure(size(artifact.size_bytes), _exactly(artifact)),
        _share(artifact, baseline),
        percent(accuracy.top1) if accuracy else none,
        replace(points(accuracy.top1_drop_points), verdict=accuracy.verdict or "") if accuracy else none,
        percent(accuracy.agreement) if accuracy else none,
        quantity(latency.p50_ms, " ms") if latency else _estimated(artifact),
        quantity(latency.p90_ms, " ms") if latency else none,
        quantity(latency.p99_ms, " ms") if latency else none,
        replace(times(latency.speedup), verdict=latency.verdict or "") if latency else none,
        _memory(artifact),
        _delegated(artifact.operators),
    )


def _exactly(artifact: ArtifactResult) -> str:
    """The bytes, and those of a download."""
    notes, download = [f"{artifact.size_bytes:,} bytes"], artifact.download_bytes
    if download:
        compressed = [f"{size(download.gzip)} gzipped"]
        compressed += [f"{size(download.zstd)} by zstd"] if download.zstd is not None else []
        notes += [each.replace(" ", "\N{NO-BREAK SPACE}") for each in compressed]
    return "; ".join(notes)


def _share(artifact: ArtifactResult, baseline: ArtifactResult | None) -> Figure:
    if baseline is None or not baseline.size_bytes:
        return Figure(NONE)
    return Figure(f"{artifact.size_bytes / baseline.size_bytes * 100:.1f} %")


def _estimated(artifact: ArtifactResult) -> Figure:
    """The time that a compiler computes, marked as such."""
    if artifact.estimate is None:
        return Figure(NONE)
    return Figure(f"{artifact.estimate.inference_ms:.3g} ms", _mark(artifact.estimate))


def _mark(estimate: CompilerEstimate) -> str:
    return f"estimated by {estimate.compiler} for {estimate.system}, nothing ran"


def _memory(artifact: ArtifactResult) -> Figure:
    memory = artifact.memory
    if memory is None:
        return Figure(NONE)
    if artifact.estimate:
        return Figure(f"{size(memory.peak_bytes)} SRAM", _mark(artifact.estimate))
    return Figure(
        f"{size(memory.peak_bytes)} peak", f"{size(memory.load_bytes)} load, {size(memory.arena_bytes)} arena"
    )


def _delegated(operators: Operators | None) -> Figure:
    if operators is None:
        return Figure(NONE)
    by = f"by {operators.delegate}" if operators.delegate and operators.delegated else ""
    left = ", ".join(f"{count}\N{NO-BREAK SPACE}{kind}" for kind, count in sorted((operators.left or {}).items()))
    notes = (by, f"left out: {left}" if left else "", precisions(operators))
    return Figure(f"{operators.delegated} of {operators.nodes}", "; ".join(filter(None, notes)))
