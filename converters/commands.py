"""The commands of this layer: convert, sensitivity, embed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeres.errors import ConfigError
from edgeres.options import PREPROCESS, SPLIT_SEED, TRUST, writable

if TYPE_CHECKING:
    from converters.steps import Criterion
    from edgeres.bundle import Bundle


@click.command(short_help="Convert a Keras file to a TFLite bundle by a recipe.")
@click.argument("model_file", type=click.Path(path_type=Path))
@click.option("--recipe", default="int8", show_default=True, metavar="NAME|F.yaml", help="What to do; see above.")
@click.option("--data", required=True, metavar="SOURCE", help="digits, folder:PATH, … (docs/data.md).")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="BUNDLE", help="The folder to write.")
@PREPROCESS
@click.option("--set", "overrides", multiple=True, metavar="STEP.KEY=VALUE", help="Override a recipe's setting.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Of fine-tuning.")
@SPLIT_SEED
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    callback=writable,
    metavar="F.html",
    help="Measure against float32, write a page.",
)
@click.option(
    "--compile",
    "compiled_for",
    multiple=True,
    metavar="T",
    help="Compile the result for ethosu:CONFIG or npu:VENDOR:CHIP too, into BUNDLE/compiled; repeatable.",
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
    compiled_for: tuple[str, ...],
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
    from converters.compilers import find_compilers
    from edgeres.errors import require_installed
    from edgeres.storage import require_absent

    compilers = find_compilers(compiled_for)
    require_installed("tensorflow", extra="convert", purpose="converting")
    require_absent(out)
    if chosen.trains:
        from edgeres.training.kernels import choose_kernels

        choose_kernels(deterministic=False, narrow=True)

    from converters.job import Job
    from converters.pipeline import convert, float_flatbuffer
    from edgeres.contracts import contract_for
    from edgeres.data import open_dataset
    from edgeres.keras_file import read_keras_file
    from edgeres.progress import shown

    file = read_keras_file(model_file, trust=trust)
    contract = contract_for(file, preprocess)
    with shown() as progress:
        job = Job(file, open_dataset(data, seed=split_seed), contract, seed, progress)
        bundle = convert(job, chosen, out, compilers=compilers)
    _tell(bundle, chosen.name, float_flatbuffer(file).stat().st_size)
    if report is not None:
        from converters.evidence import report_on

        with shown() as progress:
            figures = report_on(job, out, report, progress=progress)
        click.echo(f"{report} (figures: {figures})")


def _tell(bundle: Bundle, recipe: str, before: int) -> None:
    """What came out, beside the `before` bytes of float32: a line for the model, and one for each compiled file."""
    size = len(bundle.read("model.tflite"))
    click.echo(f"{bundle.path}: {recipe}, {size:,} bytes, {before / size:.2f}x smaller than float32 ({before:,} bytes)")
    for each in bundle.compiled:
        size, ran = len(bundle.read(each.file)), each.operators
        taken = f"{ran.delegated} of {ran.nodes} operators by {ran.delegate}"
        click.echo(f"{bundle.path / each.file}: {size:,} bytes, {taken}")


@click.command(short_help="Measure what each part costs to prune or to quantize.")
@click.argument("model_file", type=click.Path(path_type=Path))
@click.option("--data", required=True, metavar="SOURCE", help="digits, folder:PATH, … (docs/data.md).")
@click.option("--of", default="prune", show_default=True, metavar="STUDY", help="What is changed: prune or quantize.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder to write.")
@click.option(
    "--keep", default="0.875,0.75,0.5,0.25", show_default=True, metavar="SHARES", help="Of each group's channels."
)
@click.option(
    "--criterion",
    default="l2",
    show_default=True,
    type=click.Choice(["l1", "l2", "bn-scale", "taylor", "random"]),
    help="What ranks channels.",
)
@click.option("--target", default="cpu", show_default=True, metavar="T", help="Where it is to run: sets --multiple.")
@click.option("--multiple", type=click.IntRange(1, 256), help="Of which widths are one.  [default: the target's]")
@click.option(
    "--within",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0.1, 100),
    metavar="POINTS",
    help="Half-width of a drop's interval: how many images are measured.",
)
@click.option(
    "--max-drop",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 100),
    metavar="POINTS",
    help="What a recommended share may cost, by the upper end of its interval.",
)
@PREPROCESS
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Of the criterion random."
)
@SPLIT_SEED
@TRUST
def sensitivity(
    model_file: Path,
    data: str,
    of: str,
    out: Path,
    keep: str,
    criterion: Criterion,
    target: str,
    multiple: int | None,
    within: float,
    max_drop: float,
    preprocess: str | None,
    seed: int,
    split_seed: int,
    trust: bool,
) -> None:
    """Measure what each part of MODEL_FILE costs in accuracy when it alone is changed.

    --of prune: each channel group pruned. --of quantize: each layer in int8 alone, and left out of int8; --keep,
    --criterion, --target and --multiple are of pruning. Writes DIR/sensitivity.json, a heat-map DIR/sensitivity.html,
    and DIR/recipe.yaml, the recipe that follows. Given again, it goes on where it was.
    """
    from edgeres.errors import require_installed

    require_installed("tensorflow", extra="convert", purpose="this study")
    from converters.sensitivity import PAGE, RECIPE, RECORD, Settings, keep_shares, require_study, study
    from targets.catalogue import find_target

    usual = find_target(target).multiple
    settings = Settings(of, keep_shares(keep), criterion, multiple or usual, within, max_drop)
    require_study(of, out)
    _require_meaning(of)
    from converters.job import Job
    from edgeres.contracts import contract_for
    from edgeres.data import open_dataset
    from edgeres.keras_file import read_keras_file
    from edgeres.progress import shown
    from edgeres.report.sensitivity_page import render
    from edgeres.report.sensitivity_table import print_findings
    from edgeres.storage import write_text

    file = read_keras_file(model_file, trust=trust)
    contract = contract_for(file, preprocess)
    with shown() as progress:
        findings = study(Job(file, open_dataset(data, seed=split_seed), contract, seed, progress), settings, out)
    write_text(out / PAGE, render(findings, (out / RECIPE).read_text(encoding="utf-8")))
    print_findings(findings)
    click.echo(f"{out / PAGE}, {out / RECIPE} (figures: {out / RECORD})")


def _require_meaning(of: str) -> None:
    """Refuse options of pruning in a study that does not prune."""
    context = click.get_current_context()
    given = [
        f"--{name}"
        for name in ("keep", "criterion", "target", "multiple")
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if of != "prune" and given:
        raise ConfigError(f"{', '.join(given)} means nothing with --of {of}", fix="leave it out, or study --of prune")


@click.command(short_help="Write an app around a bundle that gets the bundle's answers.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--platform", required=True, metavar="NAME", help="What it runs on; see above.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder to write.")
@click.option(
    "--result",
    "results",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="F.json",
    help="Measurements for the model card, of evaluate or profile; repeatable.",
)
@click.option("--flash", metavar="SIZE", help="Of the microcontroller, such as 1MiB: what the model must fit into.")
def embed(bundle: Path, platform: str, out: Path, results: tuple[Path, ...], flash: str | None) -> None:
    """Write an app around BUNDLE, with the bundle's own preprocessing, that checks itself against the golden tensors.

    Platforms: android, ios, react-native and flutter (phones), c (microcontrollers and embedded Linux, TensorFlow Lite
    Micro), python (a script for a Raspberry Pi and other Linux boards), web (a page that works offline, LiteRT.js).
    DIR/README.md says what to run. A DIR that embed wrote, and nobody changed, is replaced.
    """
    from converters.apps.embedding import embed, parse_size

    app = embed(bundle, platform, out, results=results, flash_bytes=None if flash is None else parse_size(flash))
    size = sum(map(len, app.files.values()))
    click.echo(f"{out}: {app.platform}, {len(app.files)} files, {size:,} bytes; {out / 'README.md'} says what to run")
