"""The commands that hold a bundle against what is claimed of it: verify, sign, check-preprocessing."""

from __future__ import annotations

from pathlib import Path

import click

from edgeres.options import JSON


@click.command(short_help="Check a bundle on this machine against its own claims.")
@click.argument("bundle")
@click.option(
    "--claims",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RESULT.json",
    help="Measure again what this result says of the bundle; repeatable.",
)
@click.option("--data", metavar="SOURCE", help="Where the images of the claims are here. [default: as they say]")
@click.option("--baseline", metavar="A", help="What the claimed speed-up is over.")
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="PUBLIC.pem",
    help="First check who signed it; see 'edgeres sign'.",
)
@JSON
def verify(
    bundle: str,
    claims: tuple[Path, ...],
    data: str | None,
    baseline: str | None,
    key: Path | None,
    json_file: Path | None,
) -> None:
    """Check a bundle on this machine: hashes, preprocessing, golden outputs, and the claims of a result.

    Exit code 8 where a file was altered, the outputs are not those that the bundle claims, or a claim is refuted. A
    claim from another CPU, or of images that are not here, is not comparable, and fails nothing. With --key, exit code
    8 also where the bundle is not signed by that key, or is not what was signed; nothing else of it is read then.
    """
    from edgeres.progress import shown
    from edgeres.records import write_json
    from edgeres.report.terminal import output, plain_table
    from edgeres.results import read_result
    from targets.claims import Material, check_claims, claim_cells
    from targets.verification import verify as check

    if not claims and (data or baseline):
        raise click.UsageError("--data and --baseline are for --claims")
    if key is not None:
        from targets.signature import check_signature

        check_signature(Path(bundle), key)
        click.echo(f"{bundle}: signed by the holder of {key}")
    results = [(path, read_result(path)) for path in dict.fromkeys(claims)]
    verification = check(bundle)
    cells = [(claim.name, "ok" if claim.passed else "FAILED", claim.found) for claim in verification.checks]
    output().print(plain_table(("check", "", "found"), cells))
    if results and verification.verified:
        with shown() as progress:
            found = check_claims(bundle, results, Material(data, baseline), progress=progress)
        output().print(plain_table(("claim", "", "claimed", "found here", ""), claim_cells(found)))
        verification = verification.with_claims(found)
    if json_file:
        write_json(json_file, verification)
    verification.require()


@click.command(short_help="Sign a bundle with a private key.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), metavar="PRIVATE.pem", help="Of an elliptic curve, PEM."
)
def sign(bundle: Path, key: Path) -> None:
    """Sign a bundle, in the form of OpenSSF model-signing: writes BUNDLE/model.sig.

    'edgeres verify BUNDLE --key PUBLIC.pem' checks it. Nothing is sent anywhere.
    """
    from targets.signature import sign as write_signature

    click.echo(f"{write_signature(bundle, key)}: signed with {key}")


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
    if unseen := [each.skew for each in found.skews if each.told is False]:
        click.echo(
            f"not seen: {', '.join(unseen)}. Gray golden images have no channel order, those of the input's size are "
            "not resized: an app can make these mistakes and pass. They do harm with other images alone."
        )
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
