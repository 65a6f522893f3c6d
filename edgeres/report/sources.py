"""What a report is made from: run folders, result files and bundle folders, told apart by what they hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgeres.bundle import MODEL, is_bundle, open_bundle
from edgeres.errors import ArtifactError
from edgeres.report.story import BundleSource, ResultSource, RunSource, Story
from edgeres.results import read_result
from edgeres.training.run import is_run, read_config, read_history


def read_story(paths: Iterable[Path | str]) -> Story:
    """Read run folders, result files and bundle folders, in any order and number.

    Raises:
        ArtifactError: a path is absent or none of the three; a result or bundle is corrupt.
        ConfigError: a run folder whose files do not fit.
    """
    runs: list[RunSource] = []
    bundles: list[BundleSource] = []
    results: list[ResultSource] = []
    for path in dict.fromkeys(map(Path, paths)):
        if is_run(path):
            runs.append(RunSource(path, read_config(path), read_history(path)))
        elif is_bundle(path):
            bundles.append(_read_bundle(path))
        elif path.is_file():
            results.append(_read_result(path))
        else:
            raise _unknown(path)
    return Story(tuple(runs), tuple(bundles), tuple(results))


def _read_bundle(path: Path) -> BundleSource:
    """Open a bundle and check every file that the report relies on against the manifest."""
    bundle = open_bundle(path)
    return BundleSource(bundle, bundle.labels, bundle.golden, len(bundle.read(MODEL)))


def _read_result(path: Path) -> ResultSource:
    if path.suffix != ".json":
        raise _unknown(path)
    return ResultSource(path, read_result(path))


def _unknown(path: Path) -> ArtifactError:
    found = "a folder with neither manifest.json nor config.json" if path.is_dir() else "a file that is not .json"
    return ArtifactError(
        f"cannot report on {path}: {found if path.exists() else 'it does not exist'}",
        details=("expected a run folder (config.json), a bundle (manifest.json), or a result (--json of evaluate)",),
        fix="measure first: edgeres evaluate ARTIFACT… --data SOURCE --json result.json",
    )
