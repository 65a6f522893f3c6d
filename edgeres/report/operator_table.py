"""The operators of an artifact that take the longest, as the rows of a table."""

from __future__ import annotations

from dataclasses import dataclass

from edgeres.report.wording import interval, size
from edgeres.results import ArtifactResult

_SHOWN = 10

HEADS = ("layer", "operator", "time", "share", "runs on", "activations", "weights")


@dataclass(frozen=True)
class OperatorTable:
    """What the whole takes, as a title, and a row for each of the slowest operators."""

    title: str
    rows: tuple[tuple[str, ...], ...]


def operator_table(artifact: ArtifactResult) -> OperatorTable | None:
    """The ten slowest operators, and all others in a line; None where they were not timed."""
    timed = artifact.operators.timed if artifact.operators else None
    if artifact.operators is None or timed is None:
        return None
    everything = sum(each.time_ms.value for each in timed.each) or 1.0
    ordered = sorted(timed.each, key=lambda each: -each.time_ms.value)
    rows = [
        (
            each.layer,
            each.kind,
            interval(each.time_ms, " ms"),
            f"{each.time_ms.value / everything:.1%}",
            (artifact.operators.delegate or "a delegate") if each.delegated else "built-in kernel",
            size(each.activation_bytes),
            size(each.weight_bytes),
        )
        for each in ordered[:_SHOWN]
    ]
    if rest := ordered[_SHOWN:]:
        spent = sum(each.time_ms.value for each in rest)
        rows.append((f"{len(rest)} others", "", f"{spent:.3g} ms", f"{spent / everything:.1%}", "", "", ""))
    title = (
        f"{artifact.name}: all operators {interval(timed.sum_ms, ' ms')}, "
        f"the whole without the profiler {interval(timed.total_ms, ' ms')}; {timed.runs} runs"
    )
    return OperatorTable(title, tuple(rows))
