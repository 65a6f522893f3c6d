"""The commands of this layer: demo, models, train, inspect, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeres.options import JSON, writable


@click.command(short_help="The whole story on a small data set, ending in a report.")
@click.option(
    "--out",
    default=Path("demo"),
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to write.",
)
@click.option("--model", default="resnet8", show_default=True, help="A network of the zoo.")
@click.option("--data", default="digits", show_default=True, metavar="SOURCE", help="What it learns.")
@click.option("--epochs", default=12, show_default=True, help="Of training.")
def demo(out: Path, model: str, data: str, epochs: int) -> None:
    """Run the whole story on an embedded data set: train, convert four ways, measure, report.

    Each step is a command that you could have typed; it is printed before it runs. Ends with DIR/report.html.
    """
    from edgeres.demonstration import demonstrate

    demonstrate(out, model=model, data=data, epochs=epochs)


@click.command(short_help="List the networks of the zoo, or the layers of one.")
@click.argument("name", required=False)
@JSON
def models(name: str | None, json_file: Path | None) -> None:
    """List the networks that can be trained, or the layers of the one called NAME."""
    from edgeres.models.tables import layers_of, write_layers, write_zoo, zoo
    from edgeres.report.terminal import output

    output().print(layers_of(name) if name else zoo())
    if json_file and name:
        write_layers(json_file, name)
    elif json_file:
        write_zoo(json_file)


@click.command(short_help="Train a network of the zoo on an image data set.")
@click.argument("model")
@click.option("--data", required=True, metavar="SOURCE", help="digits, folder:PATH or cifar10:PATH.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="The run folder to write.")
@click.option("--width", default=1.0, show_default=True, help="Multiplies the feature maps of every stage.")
@click.option("--input-size", type=int, help="Height and width of the input in pixels. [default: the network's]")
@click.option("--preprocess", default="raw", show_default=True, metavar="P", help="A preset, or a YAML contract.")
@click.option("--config", type=click.Path(path_type=Path), help="YAML file of training settings; flags override it.")
@click.option("--resume", is_flag=True, help="Continue the run in --out from its last complete epoch.")
@click.option("--epochs", type=int, help="Passes over the training split. [default: 20]")
@click.option("--batch", type=int, help="Images in a step. [default: 128]")
@click.option("--learning-rate", type=float, help="Peak of the schedule. [default: 0.1]")
@click.option("--weight-decay", type=float, help="L2 penalty on kernels. [default: 0.0001]")
@click.option("--warmup", type=float, help="Epochs of linear warm-up. [default: 1]")
@click.option("--label-smoothing", type=float, help="[default: 0]")
@click.option("--augment", help="auto, none, shift or shift-flip. [default: auto]")
@click.option("--seed", type=int, help="Of weights, shuffling and augmentation. [default: 0]")
@click.option(
    "--split-seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Of the data's splits; measure with the same one.",
)
def train(
    model: str,
    data: str,
    out: Path,
    width: float,
    input_size: int | None,
    preprocess: str,
    config: Path | None,
    resume: bool,
    split_seed: int,
    **flags: Any,
) -> None:
    """Train MODEL, a network of the zoo, on an image data set.

    SGD with a warm-up and a cosine, on every GPU there is or on the CPU. Leaves a run folder: the trained
    model.keras, config.json, history.json and the checkpoint that --resume continues from.
    """
    from edgeres.training.settings import read_mapping, typed_settings

    values = read_mapping(config) if config else {}
    values |= {name: value for name, value in flags.items() if value is not None}
    settings = typed_settings(values, where=str(config) if config else "training settings")

    from edgeres.data import open_dataset
    from edgeres.errors import ConfigError, require_installed
    from edgeres.models import MODELS
    from edgeres.native_output import muted
    from edgeres.preprocess import from_option
    from edgeres.registry import require_known
    from edgeres.storage import require_absent

    require_installed("tf_keras", extra="train", purpose="training")
    # What can be refused at once is refused before TensorFlow is loaded.
    require_known(MODELS, model, noun="network", error=ConfigError)
    if not resume:
        require_absent(out)
    dataset = open_dataset(data, seed=split_seed)
    with muted():
        from edgeres.models import find_network
        from edgeres.training.train import Plan, train

        chosen = find_network(model)
    from edgeres.training.progress import EpochLines

    size = chosen.input_size if input_size is None else input_size
    contract = from_option(preprocess, height=size, width=size)

    with EpochLines() as lines:
        history = train(Plan(chosen, width, dataset, contract, settings), out, resume=resume, progress=lines)
    score = history.test_accuracy
    if score is not None:
        interval = f"[{score.low:.2%}, {score.high:.2%}]"
        click.echo(f"{out}/model.keras: test accuracy {score.value:.2%} {interval} on {score.n} images")


@click.command(short_help="Show what a model file, a run or a bundle is.")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@JSON
def inspect(path: Path, json_file: Path | None) -> None:
    """Show what a .keras, .h5, .tflite, run or bundle is: shapes, types, operators, preprocessing, origin."""
    from edgeres.inspection import inspect as look
    from edgeres.inspection import tables
    from edgeres.records import write_json
    from edgeres.report.terminal import output

    found = look(path)
    for table in tables(found):
        output().print(table)
    if json_file:
        write_json(json_file, found)


@click.command(short_help="Make a page of runs, bundles and measurements.")
@click.argument("paths", nargs=-1, required=True, metavar="RUN|RESULT|BUNDLE…", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), callback=writable, metavar="F.html", help="The page to write.")
@click.option(
    "--markdown",
    type=click.Path(path_type=Path),
    callback=writable,
    metavar="F.md",
    help="The same as Markdown; - for stdout.",
)
def report(paths: tuple[Path, ...], out: Path | None, markdown: Path | None) -> None:
    """Make a page of run folders, bundles, and the JSON of evaluate and profile.

    One self-contained HTML file that works offline, and Markdown for a pull request.
    """
    if out is None and markdown is None:
        raise click.UsageError("say what to write: --out F.html, --markdown F.md, or both")
    if out is not None and markdown is not None and out.resolve() == markdown.resolve():
        raise click.UsageError(f"--out and --markdown are both {out}: name another file for one of them")
    from edgeres.report import markdown as as_markdown
    from edgeres.report.sources import read_story
    from edgeres.storage import write_text

    story = read_story(paths)
    if out is not None:
        from edgeres.report.html import render

        write_text(out, render(story))
        click.echo(out)
    if markdown == Path("-"):
        click.echo(as_markdown.render(story), nl=False)
    elif markdown is not None:
        write_text(markdown, as_markdown.render(story))
        click.echo(markdown)
