"""The report as Markdown: headline and table, for a terminal or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from edgeres.printable import clean
from edgeres.report.conditions import remarks
from edgeres.report.headline import model_facts, sentences
from edgeres.report.provenance import machines
from edgeres.report.score_table import score_table
from edgeres.report.story import Comparison, Story
from edgeres.report.table import Grid, grid, startup_grid
from edgeres.report.wording import Figure

_SPECIAL = re.compile(r"([\\`*|<>\[\]&#~]|(?<![^\W_])_|_(?![^\W_]))")


def escape(text: str) -> str:
    """Text that Markdown shows literally, also inside a table: no markup, no pipe, no line break."""
    return _SPECIAL.sub(r"\\\1", clean(text.replace("\n", " ")))


def render(story: Story) -> str:
    """A story as GitHub-flavoured Markdown, ending in a line break."""
    facts = model_facts(story)
    blocks = [f"## {escape(facts.get('Network', 'Report'))}"]
    if described := ", ".join(f"{name.lower()} {escape(value)}" for name, value in list(facts.items())[1:]):
        blocks.append(described)
    if said := sentences(story):
        blocks.append("\n".join(f"- **{escape(each.subject)}** {escape(each.text)}" for each in said))
    for comparison in story.comparisons:
        blocks.append(table(comparison))
        blocks += _scores(comparison)
    blocks += [f"Trained in {_epochs(story)}."] if story.runs else []
    blocks += measured_on(story)
    return "\n\n".join(blocks) + "\n"


def table(comparison: Comparison, *, of: str | None = None) -> str:
    """Each artifact against the baseline; `of`: only the flatbuffer with this SHA-256, and baselines."""
    artifacts = [each for each in comparison.artifacts if of is None or each.sha256 == of or each.baseline]
    shown = {comparison.label(each) for each in artifacts}
    parts = [_grid(each, shown) for each in (grid(comparison), startup_grid(comparison)) if each]
    return "\n\n".join([*parts, *(f"{escape(remark)}." for remark in remarks(comparison.artifacts))])


def _grid(found: Grid, shown: set[str]) -> str:
    lines = [_line(("Artifact", *found.columns)), _line(("---", *("---:" for _ in found.columns)))]
    for row in found.rows:
        if row.name in shown:
            name = f"{escape(row.name)} (baseline)" if row.baseline else escape(row.name)
            lines.append(_line((name, *map(_cell, row.figures))))
    return "\n".join(lines)


def _scores(comparison: Comparison) -> Iterator[str]:
    found = score_table(comparison.artifacts, comparison.data, label=comparison.label)
    if found is not None:
        lines = [_line(found.heads), _line(("---", *("---:" for _ in found.heads[1:])))]
        yield "\n".join([*lines, *(_line(map(escape, row)) for row in found.rows)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(figure: Figure) -> str:
    verdict = f" **{figure.verdict}**" if figure.verdict else ""
    return f"{escape(figure.value)}{f' ({escape(figure.note)})' if figure.note else ''}{verdict}"


def _epochs(story: Story) -> str:
    return ", ".join(f"{len(run.history.epochs)} epochs ({escape(run.path.name)})" for run in story.runs)


def measured_on(story: Story) -> Iterator[str]:
    """The machine of each result, as a paragraph."""
    for files, values in machines(story):
        shown = "; ".join(f"{escape(name)} {escape(value)}" for name, value in values.items() if len(value) <= 80)
        yield f"Measured in {escape(files)} on: {shown}"
