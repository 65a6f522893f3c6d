"""The commands that measure: evaluate, profile; and targets."""

from __future__ import annotations

from pathlib import Path

import click

from edgeres.options import HISTORY, JSON, PREPROCESS, SPLIT_SEED, TRUST

ARTIFACTS = click.argument("artifacts", nargs=-1, required=True, metavar="ARTIFACT…")
BASELINE = click.option(
    "--baseline",
    metavar="A",
    help="What the others are compared with. [default: the first Keras file of several, else the first]",
)

DEVICE = click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="NAME|all",
    help="On these devices, side by side; see 'edgeres devices'. Repeatable. [default: this machine]",
)


@click.command(short_help="Measure the accuracy of bundles, .tflite and Keras files.")
@ARTIFACTS
@click.option("--data", "source", required=True, metavar="SOURCE", help="digits, folder:PATH, … (docs/data.md).")
@click.option("--split", default="test", show_default=True, help="train, validation, test or calibration.")
@BASELINE
@click.option("--target", default="cpu", show_default=True, metavar="T", help="Where to run; see 'edgeres targets'.")
@DEVICE
@PREPROCESS
@click.option("--images", type=click.IntRange(min=1), metavar="N", help="Only the first N. [default: all]")
@click.option(
    "--margin", type=click.FloatRange(0, 100), default=1.0, show_default=True, help="Accepted drop, in points."
)
@click.option(
    "--parity/--no-parity", default=True, help="Hold a Keras file's flatbuffer against Keras on 256 images. [default]"
)
@SPLIT_SEED
@TRUST
@HISTORY
@JSON
def evaluate(
    artifacts: tuple[str, ...],
    source: str,
    split: str,
    baseline: str | None,
    target: str,
    devices: tuple[str, ...],
    preprocess: str | None,
    images: int | None,
    margin: float,
    parity: bool,
    split_seed: int,
    trust: bool,
    history: Path | None,
    json_file: Path | None,
) -> None:
    """Measure the accuracy of bundles, .tflite and Keras files on the same images.

    Top-1 and top-5 with their intervals, and against the baseline: agreement, the drop in points with its paired
    interval, and whether that interval is within the margin (pass), beyond it (fail), or neither (insufficient).
    """
    from edgeres.data import open_dataset
    from edgeres.progress import shown
    from targets.artifact import open_compared
    from targets.devices import fleet
    from targets.evaluation import Evaluation
    from targets.evaluation import evaluate as measure

    fleet.require_targets(fleet.placed((target,), devices))
    dataset = open_dataset(source, seed=split_seed)
    opened, reference = open_compared(artifacts, baseline=baseline, preprocess_option=preprocess, trust=trust)
    plan = Evaluation(target=target, devices=devices, split=split, images=images, margin_points=margin, parity=parity)
    with shown() as progress:
        result = measure(opened, dataset, baseline=reference, plan=plan, progress=progress)

    from edgeres.report.terminal import print_result

    print_result(result)
    if json_file:
        result.write(json_file)
    if history:
        from edgeres.history import append

        append(history, result)
    fleet.require_complete(result)


@click.command(short_help="Measure latency, memory, operators and size.")
@ARTIFACTS
@BASELINE
@click.option(
    "--target", "targets", multiple=True, default=("cpu",), show_default=True, metavar="T", help="Where; repeatable."
)
@DEVICE
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Of the runtime."
)
@click.option("--rounds", type=click.IntRange(min=30), metavar="N", help="Interleaved rounds, at least. [default: 30]")
@click.option(
    "--max-rounds",
    type=click.IntRange(min=30),
    metavar="N",
    help="Go on up to N while a speed-up is inconclusive or wide. [default: --rounds where given, else 120]",
)
@click.option(
    "--starts", type=click.IntRange(min=6), metavar="N", help="Start-up time too, from N fresh processes of each."
)
@click.option("--operators", is_flag=True, help="The time of each operator too, on cpu, builtin and reference.")
@click.option("--throughput", is_flag=True, help="Images a second too, by threads, processes and batch.")
@click.option("--energy", is_flag=True, help="Energy of an inference too, where the machine counts it.")
@click.option("--pin", is_flag=True, help="Keep all models on the same cores, one for each thread.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the order within rounds.")
@click.option(
    "--keep", type=click.Path(path_type=Path), metavar="DIR", help="A folder for the files that ethosu and npu compile."
)
@TRUST
@HISTORY
@JSON
def profile(
    artifacts: tuple[str, ...],
    baseline: str | None,
    targets: tuple[str, ...],
    devices: tuple[str, ...],
    threads: int,
    rounds: int | None,
    max_rounds: int | None,
    starts: int | None,
    operators: bool,
    throughput: bool,
    energy: bool,
    pin: bool,
    seed: int,
    keep: Path | None,
    trust: bool,
    history: Path | None,
    json_file: Path | None,
) -> None:
    """Measure latency, memory, operators and size of bundles, .tflite and Keras files.

    Every artifact runs in a process of its own; short blocks of all of them alternate in random order, and the
    speed-up over the baseline is the median of the rounds' ratios, with its interval.
    """
    from edgeres.progress import shown
    from targets.artifact import open_compared
    from targets.devices import fleet
    from targets.further import Further
    from targets.latency import MAX_ROUNDS, MIN_ROUNDS, Protocol
    from targets.profiling import profile as measure

    places = fleet.placed(targets, devices)
    fleet.require_targets(places)
    least = rounds or MIN_ROUNDS
    most = max_rounds or rounds or MAX_ROUNDS
    if most < least:
        raise click.UsageError(f"--max-rounds must be at least --rounds ({least}), found {most}")
    opened, reference = open_compared(artifacts, baseline=baseline, trust=trust)
    protocol = Protocol(rounds=least, max_rounds=most, threads=threads, pin=pin, seed=seed)
    with shown() as progress:
        result = measure(
            opened,
            baseline=reference,
            targets=places,
            protocol=protocol,
            further=Further(starts, operators, throughput, energy, keep),
            progress=progress,
        )

    from edgeres.report.terminal import print_result

    print_result(result)
    if json_file:
        result.write(json_file)
    if history:
        from edgeres.history import append

        append(history, result)
    fleet.require_complete(result)


@click.command(short_help="List the targets that can run here, and why others cannot.")
@JSON
def targets(json_file: Path | None) -> None:
    """List the targets that can run here, and why the rest cannot."""
    from edgeres.records import write_json
    from edgeres.report.terminal import output, plain_table
    from targets.catalogue import describe_targets

    rows = describe_targets()
    cells = [
        (
            row["name"],
            row["kind"],
            "yes" if row["available"] else "no",
            row["version"] or "",
            row["why"] or "",
            row["fix"] or "",
        )
        for row in rows
    ]
    output().print(plain_table(("target", "kind", "available", "version", "why not", "fix"), cells))
    if json_file:
        write_json(json_file, {"targets": rows})
