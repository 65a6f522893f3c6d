"""The commands of this layer: demo, models, data, train, inspect, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeres.options import JSON, TRUST, writable

if TYPE_CHECKING:
    from edgeres.report.story import Story

RECOMPUTE = "targets.recomputation:recompute"
"""`(result) -> Recomputed`, in the layer above, which has the statistics."""


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
    """List the networks that can be trained, or the blocks and layers of the one called NAME.

    A residual network's name takes -A (shortcuts without weights) or -C (projections everywhere), a DenseNet's
    -dropout: resnet20-A.
    """
    from edgeres.models.tables import layers_of, write_layers, write_zoo, zoo
    from edgeres.report.terminal import output

    output().print(layers_of(name) if name else zoo())
    if json_file and name:
        write_layers(json_file, name)
    elif json_file:
        write_zoo(json_file)


@click.command(short_help="Look through a data set: counts, corrupt files, duplicates.")
@click.argument("source", metavar="SOURCE")
@click.option("--out", type=click.Path(path_type=Path), callback=writable, metavar="F.html", help="A page to write.")
@click.option("--split-seed", default=0, show_default=True, type=click.IntRange(0), help="Of the splits.")
@JSON
def data(source: str, out: Path | None, split_seed: int, json_file: Path | None) -> None:
    """Decode every image of a data set once, and tell what is wrong with it.

    Classes, sizes, corrupt and misnamed files, equal images within and across splits and under several labels, and
    what to do about each. Ends with exit code 4 where more than 1 % of the images are corrupt; fewer are left out
    everywhere. The page also shows samples of each class.
    """
    from edgeres.data import open_dataset
    from edgeres.data.audit import audit, require_sound
    from edgeres.progress import shown
    from edgeres.records import write_json
    from edgeres.report.data_tables import print_audit
    from edgeres.storage import write_text

    dataset = open_dataset(source, seed=split_seed)
    with shown() as progress:
        found = audit(dataset, progress=progress)
    print_audit(found)
    if json_file:
        write_json(json_file, found)
    if out:
        from edgeres.report.data_page import render

        write_text(out, render(found, dataset))
        click.echo(out)
    require_sound(found)


@click.command(short_help="Train a network of the zoo, or a model of yours, on images.")
@click.argument("model")
@click.option("--data", required=True, metavar="SOURCE", help="digits, folder:PATH, … (docs/data.md).")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="The run folder to write.")
@click.option("--width", type=float, help="Multiplies the feature maps of every stage. [default: 1]")
@click.option("--input-size", type=int, help="Height and width of the input in pixels. [default: the network's]")
@click.option("--preprocess", metavar="P", help="A preset or YAML contract. [default: the network's or file's]")
@click.option("--config", type=click.Path(path_type=Path), metavar="F.yaml", help="Settings; flags override them.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Any setting, as mixup=0.2; repeatable.")
@click.option("--weights", metavar="FILE", help="Begin with these: a run, a Keras file, or imagenet.")
@click.option("--teacher", type=click.Path(path_type=Path), metavar="FILE", help="A run or Keras file to learn from.")
@click.option("--resume", is_flag=True, help="Continue the run in --out from its last complete epoch.")
@click.option("--epochs", type=int, help="Passes over the training split. [default: 20]")
@click.option("--batch", type=int, help="Images in a step. [default: 128]")
@click.option("--learning-rate", type=float, help="Peak of the schedule. [default: 0.1; adamw: 0.001]")
@click.option("--weight-decay", type=float, help="L2 penalty on kernels (adamw: decoupled). [default: 0.0001]")
@click.option("--warmup", type=float, help="Epochs of linear warm-up. [default: 1]")
@click.option("--label-smoothing", type=float, help="Part of each label spread over all classes. [default: 0]")
@click.option("--augment", help="auto, none, shift, shift-flip, crop or crop-flip. [default: auto]")
@click.option("--seed", type=int, help="Of weights, shuffling and augmentation. [default: 0]")
@click.option("--deterministic", is_flag=True, default=None, help="Equal runs give equal weights, to the last bit.")
@click.option(
    "--distribute",
    type=click.Choice(["mirrored", "multiworker"]),
    help="On all GPUs of this machine, or in the processes of TF_CONFIG. [default: mirrored with several GPUs]",
)
@click.option(
    "--join-timeout",
    type=click.FloatRange(0),
    help="Seconds to wait for the other workers. [default: 60]",
)
@click.option(
    "--split-seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Of the data's splits; measure with the same one.",
)
@TRUST
def train(
    model: str,
    data: str,
    out: Path,
    width: float | None,
    input_size: int | None,
    preprocess: str | None,
    config: Path | None,
    overrides: tuple[str, ...],
    weights: str | None,
    teacher: Path | None,
    resume: bool,
    distribute: str | None,
    join_timeout: float | None,
    split_seed: int,
    trust: bool,
    **flags: Any,
) -> None:
    """Train MODEL on an image data set: a network of the zoo, or a Keras file or run of yours.

    SGD with a warm-up and a cosine unless set otherwise, on every GPU there is or on the CPU. Leaves a run folder:
    the trained model.keras, config.json, history.json, report.html, logs for TensorBoard and the checkpoint that
    --resume continues from. All settings are in docs/training.md; the usual ones are flags, any goes through --set.
    """
    from edgeres.data import open_dataset
    from edgeres.errors import require_installed
    from edgeres.native_output import muted
    from edgeres.storage import require_absent
    from edgeres.training.cluster import asked_cluster
    from edgeres.training.kernels import choose_kernels
    from edgeres.training.planning import Wanted, settings_of

    # What can be refused at once is refused before TensorFlow is loaded.
    settings = settings_of(config, overrides, flags)
    require_installed("tf_keras", extra="train", purpose="training")
    wanted = Wanted(model, width, input_size, preprocess, weights, teacher, trust)
    wanted.check(settings)
    cluster = asked_cluster(distribute, join_timeout)
    if not resume and (cluster is None or cluster.chief):
        require_absent(out)
    dataset = open_dataset(data, seed=split_seed)
    choose_kernels(deterministic=settings.deterministic, narrow=wanted.narrow)
    with muted():
        from edgeres.training.attended import train_attended
        from edgeres.training.distribution import Devices

        # Before weights or a teacher use TensorFlow.
        group = Devices(distribute, cluster, 60 if join_timeout is None else join_timeout).join()
    score = train_attended(wanted.plan(dataset, settings), out, resume=resume, group=group).test_accuracy
    if score is not None and group.chief:
        interval = f"[{score.low:.2%}, {score.high:.2%}]"
        click.echo(f"{out}/model.keras: test accuracy {score.value:.2%} {interval} on {score.n} images")


@click.command(short_help="Show what a model file, a run or a bundle is.")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--targets", metavar="T,T", help="Forecast what these would do with it, or 'all': which layer stops each, and why."
)
@TRUST
@JSON
def inspect(path: Path, targets: str | None, trust: bool, json_file: Path | None) -> None:
    """Show what a .keras, .h5, SavedModel, .tflite, run or bundle is: shapes, types, layers, preprocessing, origin."""
    from edgeres.inspection import inspect as look
    from edgeres.inspection import tables
    from edgeres.records import write_json
    from edgeres.report.terminal import output

    names = [name.strip() for name in (targets or "").split(",") if name.strip()]
    found = look(path, trust=trust, targets=names)
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
@click.option("--recompute", is_flag=True, help="First compute every figure of the results again from its raw data.")
def report(paths: tuple[Path, ...], out: Path | None, markdown: Path | None, recompute: bool) -> None:
    """Make a page of run folders, bundles, and the JSON of evaluate and profile.

    One self-contained HTML file that works offline, and Markdown for a pull request. With --recompute, exit code 8
    where a figure does not follow from the rounds and the answers to each image that the result holds.
    """
    if out is None and markdown is None and not recompute:
        raise click.UsageError("say what to write: --out F.html, --markdown F.md, or both")
    if out is not None and markdown is not None and out.resolve() == markdown.resolve():
        raise click.UsageError(f"--out and --markdown are both {out}: name another file for one of them")
    from edgeres.report import markdown as as_markdown
    from edgeres.report.sources import read_story
    from edgeres.storage import write_text

    story = read_story(paths)
    if recompute:
        _recompute(story, to_stderr=markdown == Path("-"))
    if out is not None:
        from edgeres.report.html import render

        write_text(out, render(story))
        click.echo(out)
    if markdown == Path("-"):
        click.echo(as_markdown.render(story), nl=False)
    elif markdown is not None:
        write_text(markdown, as_markdown.render(story))
        click.echo(markdown)


def _recompute(story: Story, *, to_stderr: bool) -> None:
    """Hold every result against its raw data.

    Raises:
        UsageError: there is no result.
        ArtifactError: a figure does not follow from them.
    """
    from edgeres.registry import resolve

    if not story.results:
        raise click.UsageError("--recompute needs a result: the JSON of evaluate or profile")
    for source in story.results:
        again = resolve(RECOMPUTE)(source.result)
        again.require(str(source.path))
        bare = f"; none kept for {', '.join(again.without_raw_data)}" if again.without_raw_data else ""
        click.echo(f"{source.path}: {again.figures} figures follow from the raw data{bare}", err=to_stderr)
