"""Results as tables in a terminal: every value with its interval, every comparison with its verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgeres.printable import clean
from edgeres.report.conditions import remarks
from edgeres.report.operator_table import HEADS as OPERATOR_HEADS
from edgeres.report.operator_table import operator_table
from edgeres.report.parity import parity_flips, parity_line
from edgeres.report.score_table import score_table
from edgeres.report.throughput_table import ENERGY_HEADS, RATE_HEADS, energy_rows, rate_rows
from edgeres.report.wording import (
    NONE,
    NOT_MEASURED,
    NOT_PROVED,
    difference,
    interval,
    number,
    precisions,
    size,
)
from edgeres.results import (
    Accuracy,
    ArtifactResult,
    CompilerEstimate,
    Latency,
    Memory,
    Operators,
    Result,
    Startup,
)

_VERDICT_STYLE = {
    "pass": "green",
    "faster": "green",
    "equivalent": "cyan",
    "fail": "red",
    "slower": "red",
    "insufficient": "yellow",
    "inconclusive": "yellow",
}
_TEXTS = ("verdict", "delegated", "assumed system")
_PLAIN_WIDTH = 240  # where there is no terminal whose width could be asked: a line is a line


def print_result(result: Result) -> None:
    """Print what a result holds, as tables: accuracies and scores, latencies or else memory, estimates, starts."""
    console = output()
    for line in (*failures(result.artifacts), *unproved(result)):
        console.print(Text(clean(line), style="red"))
    if any(artifact.accuracy for artifact in result.artifacts):
        console.print(accuracy_table(result))
        scores = score_table(result.artifacts, result.data, label=lambda artifact: artifact.name)
        if scores is not None:
            console.print(plain_table(scores.heads, scores.rows))
        for sentence in _parities(result):
            console.print(sentence)
    if any(artifact.latency for artifact in result.artifacts):
        console.print(latency_table(result))
    if any(map(_untimed, result.artifacts)):
        console.print(memory_table(result))
    if any(artifact.estimate for artifact in result.artifacts):
        console.print(estimate_table(result))
    if any(artifact.startup for artifact in result.artifacts):
        console.print(startup_table(result))
    for heads, rows in ((RATE_HEADS, rate_rows(result.artifacts)), (ENERGY_HEADS, energy_rows(result.artifacts))):
        if rows:
            console.print(plain_table(heads, rows))
    for artifact in result.artifacts:
        if (operators := operator_table(artifact)) is not None:
            console.print(plain_table(OPERATOR_HEADS, operators.rows, title=operators.title))
    for remark in remarks(result.artifacts):
        console.print(Text(clean(remark), style="yellow"))


def failures(artifacts: Iterable[ArtifactResult]) -> list[str]:
    """A line for each reason why something was not measured: a device that failed, an artifact that is refused."""
    failed = [(artifact.target, artifact.failure.message) for artifact in artifacts if artifact.failure]
    return [f"{NOT_MEASURED} on {target}: {message}" for target, message in dict.fromkeys(failed)]


def unproved(result: Result) -> list[str]:
    """A line for each artifact whose target does not compute what the reference kernels compute: it goes first."""
    return [
        f"{NOT_PROVED}: {artifact.name} on {artifact.target} {difference(proof)}"
        for artifact in result.artifacts
        if (proof := artifact.proof) and not proof.passed
    ]


def _parities(result: Result) -> Iterator[Text]:
    """What is to be said of Keras files beside their flatbuffers, and every image that changes class."""
    labels = (result.data.labels if result.data else None) or ()
    for artifact in result.artifacts:
        if artifact.parity and (line := parity_line(artifact)):
            yield Text(clean(line), style="" if artifact.parity.passed else "red")
            yield from (Text(clean(f"  {flip}")) for flip in parity_flips(artifact, labels))


def output() -> Console:
    """A console on stdout; what is piped is not broken into lines of 80 characters."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    return console


def accuracy_table(result: Result) -> Table:
    """Size, top-1, top-5, drop with its one-sided bound, agreement and verdict of each artifact."""
    title = None
    if result.data:
        title = f"{result.data.images:,} images of {result.data.source}, {result.data.split} split"
        if left_out := result.data.left_out:
            title += f"; {len(left_out):,} that cannot be decoded left out"
    artifacts = [artifact for artifact in result.artifacts if artifact.accuracy]
    top5 = any(artifact.accuracy and artifact.accuracy.top5 for artifact in artifacts)
    compared = any(artifact.accuracy and artifact.accuracy.verdict for artifact in artifacts)
    heads = [
        "size",
        "top-1",
        *(["top-5"] if top5 else []),
        *(["drop", "at most", "agreement", "verdict"] if compared else []),
    ]
    rows = ((artifact, _accuracy(artifact.accuracy, top5, compared)) for artifact in artifacts if artifact.accuracy)
    return _table(title, heads, rows)


def latency_table(result: Result) -> Table:
    """Size, p50, p90, p99 where one has it, speed-up, verdict, memory and delegated operators of each artifact."""
    artifacts = [artifact for artifact in result.artifacts if artifact.latency]
    threads = {artifact.latency.threads for artifact in artifacts if artifact.latency}
    title = f"latency of one image, {' or '.join(map(str, sorted(threads)))} thread{'s' * (threads != {1})}"
    compared = any(artifact.latency and artifact.latency.verdict for artifact in artifacts)
    p99 = any(artifact.latency and artifact.latency.p99_ms for artifact in artifacts)
    heads = ["size", "p50", "p90", *(["p99"] if p99 else []), *(["speed-up", "verdict"] if compared else [])]
    heads += ["memory", "delegated"]
    rows = (
        (
            artifact,
            [*_latency(artifact.latency, p99, compared), _memory(artifact.memory), _operators(artifact.operators)],
        )
        for artifact in artifacts
        if artifact.latency
    )
    return _table(title, heads, rows)


def startup_table(result: Result) -> Table:
    """Time to load and of the first run, memory once loaded and at most, of each artifact that was started anew."""
    started = [(artifact, artifact.startup) for artifact in result.artifacts if artifact.startup]
    title = f"start-up, {max(len(startup.starts) for _, startup in started)} fresh processes each"
    rows = ((artifact, _startup(startup)) for artifact, startup in started)
    return _table(title, ("size", "initialization", "first run", "loaded", "peak"), rows)


def memory_table(result: Result) -> Table:
    """Size, memory and delegated operators of each artifact on the targets that have no latency to give."""
    artifacts = filter(_untimed, result.artifacts)
    rows = ((artifact, [_memory(artifact.memory), _operators(artifact.operators)]) for artifact in artifacts)
    return _table("memory, on targets without a latency", ["size", "memory", "delegated"], rows)


def _untimed(artifact: ArtifactResult) -> bool:
    measured = artifact.memory is not None or (artifact.operators is not None and artifact.accuracy is None)
    return measured and artifact.latency is None and artifact.estimate is None


def estimate_table(result: Result) -> Table:
    """What compilers compute of a run of each artifact; the title says that nothing ran."""
    heads = ["size", "time (estimate)", "cycles (estimate)", "SRAM", "DRAM", "flash", "delegated", "assumed system"]
    rows = (
        (artifact, [*_estimate(artifact.estimate), _operators(artifact.operators), artifact.estimate.system])
        for artifact in result.artifacts
        if artifact.estimate
    )
    compilers = dict.fromkeys(artifact.estimate.compiler for artifact in result.artifacts if artifact.estimate)
    return _table(f"estimated by {', '.join(compilers)}: compiled, not run; no time of the CPU's share", heads, rows)


def _estimate(estimate: CompilerEstimate) -> list[str]:
    memories = (estimate.sram_bytes, estimate.dram_bytes, estimate.flash_bytes)
    return [f"{estimate.inference_ms:.3g} ms", f"{estimate.cycles:,}", *map(size, memories)]


def plain_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> Table:
    """A table of texts, in the style of the others."""
    table = Table(box=SIMPLE_HEAD, title=Text(clean(title)) if title else None, title_justify="left", pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    return table


def _table(title: str | None, heads: Sequence[str], rows: Iterable[tuple[ArtifactResult, Sequence[str]]]) -> Table:
    table = Table(box=SIMPLE_HEAD, title=Text(clean(title)) if title else None, title_justify="left", pad_edge=False)
    for head in ("artifact", "target"):
        table.add_column(head, overflow="fold")
    for head in heads:
        table.add_column(head, overflow="fold", justify="left" if head in _TEXTS else "right")
    for artifact, cells in rows:
        name = Text(clean(artifact.name))
        if artifact.baseline:
            name.append(" (baseline)", style="dim")
        texts = [
            Text(clean(cell), style=_VERDICT_STYLE.get(cell.partition(",")[0], ""))
            for cell in (size(artifact.size_bytes), *cells)
        ]
        table.add_row(name, Text(clean(artifact.target)), *texts)
    return table


def _accuracy(accuracy: Accuracy, top5: bool, compared: bool) -> list[str]:
    cells = [interval(accuracy.top1, " %", factor=100, decimals=1)]
    if top5:
        cells.append(interval(accuracy.top5, " %", factor=100, decimals=1))
    if compared:
        cells.append(interval(accuracy.top1_drop_points, " points", decimals=2))
        bounds = accuracy.top1_drop_bounds_points
        cells.append(f"{number(bounds.high, 2)} points" if bounds else NONE)
        cells.append(interval(accuracy.agreement, " %", factor=100, decimals=1))
        more = f", needs about {accuracy.images_needed:,} images" if accuracy.images_needed else ""
        cells.append(f"{accuracy.verdict or NONE}{more}")
    return cells


def _latency(latency: Latency, p99: bool, compared: bool) -> list[str]:
    percentiles = (latency.p50_ms, latency.p90_ms, *([latency.p99_ms] if p99 else []))
    cells = [interval(each, " ms") for each in percentiles]
    if compared:
        cells += [interval(latency.speedup, "x", decimals=2), latency.verdict or NONE]
    return cells


def _startup(startup: Startup) -> list[str]:
    times = [interval(each, " ms") for each in (startup.initialization_ms, startup.first_ms)]
    return times + [interval(each, " MB", factor=1e-6, decimals=1) for each in (startup.load_bytes, startup.peak_bytes)]


def _memory(memory: Memory | None) -> str:
    return NONE if memory is None else f"{size(memory.peak_bytes)} peak"


def _operators(operators: Operators | None) -> str:
    if operators is None:
        return NONE
    by = f" by {operators.delegate}" if operators.delegate and operators.delegated else ""
    left = ", ".join(f"{count} {kind}" for kind, count in sorted((operators.left or {}).items()))
    parts = (f"{operators.delegated} of {operators.nodes}{by}", left and f"left: {left}", precisions(operators))
    return "; ".join(filter(None, parts))
