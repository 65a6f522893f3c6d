from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeres.report.story import ResultSource, Story, join
from edgeres.results import ArtifactResult, Estimate, Failure, Rate, Result, merged


def test_accuracy_and_latency_of_the_same_artifacts_become_one_comparison(story: Story) -> None:
    (comparison,) = story.comparisons
    assert [artifact.name for artifact in comparison.artifacts] == [
        "float",
        "float16",
        "dynamic-int8",
        "int8",
        "pruned-int8",
    ]
    assert all(artifact.accuracy and artifact.latency and artifact.memory for artifact in comparison.artifacts)
    assert comparison.baseline is comparison.artifacts[0]
    assert comparison.data is not None


def test_two_measurements_of_the_same_thing_stay_apart(story: Story) -> None:
    latency = story.results[1]
    slower = replace(latency.result.artifacts[1], latency=latency.result.artifacts[2].latency)
    again = replace(latency.result, artifacts=(latency.result.artifacts[0], slower))
    assert len(join([latency, ResultSource(Path("again.json"), again)])) == 2
    assert len(join([latency, latency])) == 1


def test_results_against_different_baselines_stay_apart(story: Story) -> None:
    accuracy, latency = story.results
    other = replace(latency.result.artifacts[0], sha256="f" * 64)
    changed = replace(latency.result, artifacts=(other, *latency.result.artifacts[1:]))
    assert len(join([accuracy, ResultSource(latency.path, changed)])) == 2


def test_results_on_different_images_stay_apart(story: Story) -> None:
    accuracy, _ = story.results
    assert accuracy.result.data is not None
    fewer = replace(accuracy.result.data, images=accuracy.result.data.images - 1)
    assert len(join([accuracy, ResultSource(accuracy.path, replace(accuracy.result, data=fewer))])) == 2


def _row(name: str, target: str, *, baseline: bool = False, sha: str = "a") -> ArtifactResult:
    return ArtifactResult(name, name, sha * 64, 10, target, baseline)


def test_each_target_has_its_own_baseline() -> None:
    rows = (
        _row("float", "cpu", baseline=True),
        _row("int8", "cpu", sha="b"),
        _row("float", "reference", baseline=True),
        _row("int8", "reference", sha="b"),
    )
    (comparison,) = join([ResultSource(Path("x.json"), Result({}, rows))])
    assert comparison.artifacts == rows
    assert [comparison.baseline_of(artifact) for artifact in comparison.others] == [rows[0], rows[2]]
    assert [comparison.label(artifact) for artifact in rows] == [
        "float on cpu",
        "int8 on cpu",
        "float on reference",
        "int8 on reference",
    ]


def test_equal_names_are_told_apart_by_hash() -> None:
    rows = (_row("m", "cpu"), _row("m", "cpu", sha="b"))
    (comparison,) = join([ResultSource(Path("x.json"), Result({}, rows))])
    assert comparison.baseline is None
    assert [comparison.label(row) for row in rows] == ["m on cpu (aaaaaaaa)", "m on cpu (bbbbbbbb)"]


def test_bundles_of_which_no_result_speaks(story: Story) -> None:
    assert story.unmeasured == ()
    assert replace(story, results=()).unmeasured == story.bundles


def test_what_one_result_lacks_and_another_has_is_not_missing() -> None:
    rates = (Rate(1, 1, 1, Estimate(9, 8, 10, 0.95, "given", 6)),)
    lacks = replace(
        _row("float", "cpu", baseline=True), unmeasured={"throughput": Failure("a"), "energy": Failure("b")}
    )
    has = replace(_row("float", "cpu", baseline=True), throughput=rates, unmeasured={"operators.timed": Failure("c")})
    for pair in ((lacks, has), (has, lacks)):
        sources = [ResultSource(Path("x.json"), Result({}, (row,))) for row in pair]
        (comparison,) = join(sources)
        (row,) = comparison.artifacts
        assert row.throughput == rates
        assert row.unmeasured == {"energy": Failure("b"), "operators.timed": Failure("c")}
        assert merged(*(source.result for source in sources)).artifacts == (row,)
