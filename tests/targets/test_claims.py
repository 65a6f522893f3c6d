from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeres.console import run
from edgeres.data import open_dataset
from edgeres.errors import ConfigError
from edgeres.results import Result
from targets.artifact import open_artifacts
from targets.claims import Claim, Material, check_claims
from targets.evaluation import Evaluation, evaluate
from targets.profiling import profile
from tests.targets.bundles import make_bundle, write_images
from tests.targets.conftest import Models


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, models: Models) -> Path:
    folder = tmp_path_factory.mktemp("claims")
    for name in ("float32", "int8"):
        make_bundle(folder / name, models(name))
    write_images(folder / "images", each=60)
    return folder


@pytest.fixture(scope="module")
def accuracy(place: Path) -> Result:
    artifacts = open_artifacts([place / "float32", place / "int8"])
    return evaluate(artifacts, open_dataset(f"folder:{place / 'images'}"), baseline=0, plan=Evaluation(split="train"))


@pytest.fixture(scope="module")
def latency(place: Path) -> Result:
    return profile(open_artifacts([place / "float32", place / "int8"]), baseline=0)


def checked(place: Path, *results: Result, **material: str) -> dict[str, Claim]:
    named = [(Path(f"{number}.json"), result) for number, result in enumerate(results)]
    return {claim.claim: claim for claim in check_claims(place / "int8", named, Material(**material))}


def changed(result: Result, part: str, **fields: Any) -> Result:
    """The result with fields of the part of its last artifact replaced."""
    last = result.artifacts[-1]
    part_ = replace(getattr(last, part), **fields)
    return replace(result, artifacts=(*result.artifacts[:-1], replace(last, **{part: part_})))


def test_what_was_measured_here_is_confirmed(place: Path, accuracy: Result) -> None:
    found = checked(place, accuracy)
    assert {name: claim.outcome for name, claim in found.items()} == {"size": "confirmed", "top-1": "confirmed"}
    assert "0 of" in (found["top-1"].why or "")


def test_an_accuracy_that_is_not_reached_is_refuted(place: Path, accuracy: Result) -> None:
    assert accuracy.data is not None
    flawless = changed(accuracy, "accuracy", predictions=accuracy.data.truth)
    assert checked(place, flawless)["top-1"].outcome == "refuted"


@pytest.mark.parametrize(
    ("data", "why"),
    [({"source": "folder:nowhere"}, "the images are not here"), ({"sha256": "0" * 64}, "other images")],
)
def test_images_that_are_not_here_are_not_comparable(
    place: Path, accuracy: Result, data: dict[str, Any], why: str
) -> None:
    assert accuracy.data is not None
    claim = checked(place, replace(accuracy, data=replace(accuracy.data, **data)))["top-1"]
    assert (claim.outcome, claim.found) == ("not comparable", None)
    assert why in (claim.why or "")


def test_images_may_lie_elsewhere_here(place: Path, accuracy: Result) -> None:
    assert accuracy.data is not None
    moved = replace(accuracy, data=replace(accuracy.data, source="folder:gone"))
    assert checked(place, moved, data=f"folder:{place / 'images'}")["top-1"].outcome == "confirmed"


def test_times_of_another_cpu_are_not_comparable(place: Path, latency: Result) -> None:
    found = checked(place, replace(latency, environment={**latency.environment, "cpu": "another"}))
    assert {found[name].outcome for name in ("p50", "speed-up")} == {"not comparable"}
    assert "another machine (cpu)" in (found["p50"].why or "")
    assert found["size"].outcome == "confirmed"


@pytest.mark.slow
def test_times_are_measured_again_and_an_impossible_one_is_refuted(place: Path, latency: Result) -> None:
    own = latency.artifacts[-1].latency
    assert own is not None
    assert own.speedup is not None
    quick = replace(own.p50_ms, value=1e-6, low=1e-6, high=1e-6)
    quicker = replace(own.speedup, value=1e6, low=1e6, high=1e6)
    bold = changed(latency, "latency", p50_ms=quick, speedup=quicker)
    found = checked(place, bold, baseline=str(place / "float32"))
    assert {found[name].outcome for name in ("p50", "speed-up")} == {"refuted"}
    modest = changed(latency, "latency", p50_ms=replace(quick, high=1e6), speedup=replace(quicker, low=1e-6))
    found = checked(place, modest, baseline=str(place / "float32"))
    assert {found[name].outcome for name in ("p50", "speed-up")} == {"confirmed"}


def test_a_speed_up_needs_its_baseline(place: Path, latency: Result) -> None:
    claim = checked(place, latency)["speed-up"]
    assert claim.outcome == "not comparable"
    assert "--baseline" in (claim.why or "")
    with pytest.raises(ConfigError, match="is not the baseline of the claim"):
        checked(place, latency, baseline=str(place / "int8"))


def test_a_result_of_another_model_is_an_error(place: Path, accuracy: Result) -> None:
    alone = replace(accuracy, artifacts=accuracy.artifacts[:1])
    with pytest.raises(ConfigError, match="says nothing of"):
        checked(place, alone)


def test_verify_measures_the_claims_again(
    place: Path, accuracy: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accuracy.write(tmp_path / "a.json")
    assert run(["verify", str(place / "int8"), "--claims", str(tmp_path / "a.json")]) == 0
    assert capsys.readouterr().out.count("confirmed") == 2
    assert accuracy.data is not None
    changed(accuracy, "accuracy", predictions=accuracy.data.truth).write(tmp_path / "b.json")
    arguments = [
        "verify",
        str(place / "int8"),
        "--claims",
        str(tmp_path / "b.json"),
        "--json",
        str(tmp_path / "v.json"),
    ]
    assert run(arguments) == 8
    assert "what was claimed of it: top-1" in capsys.readouterr().err
    assert '"verified": false' in (tmp_path / "v.json").read_text()
    assert run(["verify", str(place / "int8"), "--data", "digits"]) == 2
