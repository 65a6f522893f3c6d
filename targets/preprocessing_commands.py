"""The command check-preprocessing."""

from __future__ import annotations

from pathlib import Path

import click

from edgeres.options import JSON


@click.command("check-preprocessing", short_help="Find out how an app preprocesses otherwise than a bundle.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--inputs",
    type=click.Path(path_type=Path),
    metavar="F.npy",
    help="What an app made of the golden images: float32 (n, height, width, channels).",
)
@JSON
def check_preprocessing(bundle: Path, inputs: Path | None, json_file: Path | None) -> None:
    """Run the eight classic preprocessing mistakes against a bundle's golden tensors.

    Says for each whether the golden images show it. With --inputs, says which of them an app makes; exit code 8
    unless it does what the bundle says.
    """
    from edgeres.errors import ArtifactError
    from edgeres.records import write_json
    from edgeres.report.terminal import output, plain_table
    from targets.preprocessing_check import AS_CONTRACT, read_inputs
    from targets.preprocessing_check import check_preprocessing as run

    found = run(bundle, inputs=None if inputs is None else read_inputs(inputs))
    told = {True: "told apart", False: "NOT SEEN", None: "cannot happen"}
    rows = [
        (
            each.skew,
            each.does,
            "" if each.difference is None else f"{each.difference:.3g}",
            told[each.told] if each.told is not True or each.like is None else f"seen, as {each.like}",
        )
        for each in found.skews
    ]
    output().print(plain_table(("mistake", "an app would feed", "largest difference", ""), rows))
    if json_file:
        write_json(json_file, found)
    if found.app is not None and found.app.nearest != AS_CONTRACT:
        nearest = (
            f"{found.app.nearest}: {found.app.does}" if found.app.nearest else "none of the eight mistakes explains it"
        )
        raise ArtifactError(
            f"{inputs}: the app's inputs are {found.app.levels:.3g} pixel levels from the golden ones on average",
            details=(nearest,),
            fix=f"do what the manifest of {bundle} says under 'preprocess'",
        )
    if found.app is not None:
        click.echo(f"{inputs}: as the contract, {found.app.levels:.2g} pixel levels from the golden inputs on average")
