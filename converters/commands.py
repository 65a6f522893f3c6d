"""The commands of this layer: convert."""

from __future__ import annotations

from pathlib import Path

import click

from edgeres.errors import ConfigError
from edgeres.options import TRUST, writable


@click.command(short_help="Convert a Keras file to a TFLite bundle by a recipe.")
@click.argument("model_file", type=click.Path(path_type=Path))
@click.option("--recipe", default="int8", show_default=True, metavar="NAME|F.yaml", help="What to do; see above.")
@click.option("--data", required=True, metavar="SOURCE", help="digits, folder:PATH, … (docs/data.md).")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="BUNDLE", help="The folder to write.")
@click.option("--preprocess", metavar="P", help="raw, unit, symmetric, torch, caffe or a YAML contract.")
@click.option("--set", "overrides", multiple=True, metavar="STEP.KEY=VALUE", help="Override a recipe's setting.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Of fine-tuning.")
@click.option(
    "--split-seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Of the data's splits; the one used in training.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    callback=writable,
    metavar="F.html",
    help="Measure against float32, write a page.",
)
@TRUST
def convert(
    model_file: Path,
    recipe: str,
    data: str,
    out: Path,
    preprocess: str | None,
    overrides: tuple[str, ...],
    seed: int,
    split_seed: int,
    report: Path | None,
    trust: bool,
) -> None:
    """Convert MODEL_FILE, a .keras or .h5 file or a SavedModel, to a TFLite bundle.

    Recipes: float32, float16, dynamic-int8, int8 (int8 in and out), slim and slim-int8 (channels removed), sparse-int8
    and pruned-int8 (weights set to zero), slim-sparse-int8, or a YAML file.
    """
    from converters.recipe import load_recipe

    chosen = load_recipe(recipe, overrides=overrides)
    if report is not None and report.resolve() == out.resolve():
        raise ConfigError(f"--report and --out are both {out}", fix="name another file for the report")
    from edgeres.errors import require_installed
    from edgeres.storage import require_absent

    require_installed("tensorflow", extra="convert", purpose="converting")
    require_absent(out)
    if chosen.trains:
        from edgeres.training.kernels import choose_kernels

        choose_kernels(deterministic=False)

    from converters.job import Job, contract_for
    from converters.pipeline import convert, float_flatbuffer
    from edgeres.data import open_dataset
    from edgeres.keras_file import read_keras_file
    from edgeres.progress import shown

    file = read_keras_file(model_file, trust=trust)
    contract = contract_for(file, preprocess)
    with shown() as progress:
        job = Job(file, open_dataset(data, seed=split_seed), contract, seed, progress)
        bundle = convert(job, chosen, out)
    size, before = len(bundle.read("model.tflite")), float_flatbuffer(file).stat().st_size
    click.echo(f"{out}: {chosen.name}, {size:,} bytes, {before / size:.2f}x smaller than float32 ({before:,} bytes)")
    if report is not None:
        from converters.evidence import report_on

        with shown() as progress:
            figures = report_on(job, out, report, progress=progress)
        click.echo(f"{report} (figures: {figures})")
