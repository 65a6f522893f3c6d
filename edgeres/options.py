"""Options that commands of every layer share."""

from __future__ import annotations

from pathlib import Path

import click


def writable(context: click.Context, _: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a place for a file that cannot be written, before the command runs; `-` stands for stdout."""
    if value is None or value == Path("-") or context.resilient_parsing:
        return value
    from edgeres.storage import require_writable

    require_writable(value)
    return value


def _history(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a place where no history is or can be made, before the command runs."""
    if value is None or context.resilient_parsing:
        return None
    from edgeres.history import require_history

    writable(context, parameter, value)
    require_history(value)
    return value


JSON = click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    callback=writable,
    metavar="F",
    help="Also write everything that is shown as JSON.",
)

HISTORY = click.option(
    "--history",
    type=click.Path(path_type=Path),
    callback=_history,
    metavar="F.sqlite",
    help="Also append the figures to this history; see 'edgeres history'.",
)

PREPROCESS = click.option(
    "--preprocess", metavar="P", help="raw, unit, symmetric, torch, caffe or a YAML file, for files that carry none."
)

SPLIT_SEED = click.option(
    "--split-seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Of the data's splits; the one used in training.",
)

TRUST = click.option(
    "--trust", is_flag=True, help="Let code in a Keras file or SavedModel run: Lambda layers, custom classes."
)
