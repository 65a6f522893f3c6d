from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgeres.report.lead import best, lead, outstanding
from edgeres.report.story import Comparison, Story
from edgeres.results import ArtifactResult, Proof


def _changed(artifact: ArtifactResult, part: str, **fields: Any) -> ArtifactResult:
    return replace(artifact, **{part: replace(getattr(artifact, part), **fields)})


def _each(comparison: Comparison, part: str, **fields: Any) -> Comparison:
    rows = (row if row.baseline else _changed(row, part, **fields) for row in comparison.artifacts)
    return replace(comparison, artifacts=tuple(rows))


def test_the_fastest_that_passes_leads(story: Story) -> None:
    (comparison,) = story.comparisons
    chosen = best(comparison)
    assert chosen is not None
    assert chosen.name == "int8", "pruned-int8 is faster and fails, dynamic-int8 is insufficient"
    said = lead(story)
    assert said is not None
    assert said.sentence.startswith(
        "int8 runs 3.33× (3.27 to 3.39) as fast as float, takes 30 % of its space and keeps"
    )
    assert "Xeon (test)" in said.detail
    tiles = dict(said.tiles)
    assert tiles["Top-1 drop"].verdict == "pass"
    assert tiles["Top-1 drop"].note == "−0.37 to 0.61"
    assert tiles["Speed-up"].value == "3.33×"


def test_the_bound_of_the_drop_is_said_where_there_is_one(detailed_story: Story) -> None:
    said = lead(detailed_story)
    assert said is not None
    assert said.sentence.endswith("keeps its accuracy: it loses at most 0.51 points.")


def test_an_artifact_that_computes_something_else_never_leads(story: Story) -> None:
    (comparison,) = story.comparisons
    wrong = Proof(passed=False, images=32, largest=9.0, accepted=2.0, flips=3)
    rows = tuple(replace(row, proof=wrong) if row.name == "int8" else row for row in comparison.artifacts)
    chosen = best(replace(comparison, artifacts=rows))
    assert chosen is not None
    assert chosen.name == "float16"


def test_without_speed_the_smallest_that_passes_leads(story: Story) -> None:
    said = lead(replace(story, results=story.results[:1]))
    assert said is not None
    assert said.sentence == "int8 takes 30 % of its space and keeps its accuracy."


def test_without_accuracy_the_fastest_leads_and_that_is_said(story: Story) -> None:
    said = lead(replace(story, results=story.results[1:]))
    assert said is not None
    assert said.sentence.startswith("pruned-int8 runs 3.35×")
    assert said.sentence.endswith("and was not compared in accuracy.")


def test_where_none_passes_that_is_the_sentence(story: Story) -> None:
    (source, _) = story.results
    rows = tuple(
        row if row.baseline else _changed(row, "accuracy", verdict="insufficient") for row in source.result.artifacts
    )
    said = lead(replace(story, results=(replace(source, result=replace(source.result, artifacts=rows)),)))
    assert said is not None
    assert said.sentence == "None of the 4 artifacts is shown to keep its accuracy within the margin of 1 point."
    assert "for 4 the images are too few" in said.detail
    assert said.tiles == ()


def test_where_none_is_faster_nothing_is_claimed(story: Story) -> None:
    (comparison,) = story.comparisons
    even = _each(comparison, "latency", verdict="equivalent")
    chosen = best(even)
    assert chosen is not None
    assert chosen.name == "int8"
    untested = tuple(replace(row, accuracy=None) for row in even.artifacts)
    assert best(replace(even, artifacts=untested)) is None
    assert outstanding(replace(even, artifacts=untested)) == untested[1]


def test_a_baseline_alone_has_no_lead(story: Story) -> None:
    source = story.results[0]
    alone = replace(source, result=replace(source.result, artifacts=source.result.artifacts[:1]))
    assert lead(replace(story, results=(alone,))) is None
    assert lead(Story((), (), ())) is None
