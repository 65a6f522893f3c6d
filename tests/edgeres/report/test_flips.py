from __future__ import annotations

from dataclasses import replace

import pytest

from edgeres.report.flips import CAP, Flips, flips
from edgeres.report.samples import reopened
from edgeres.report.story import Comparison, Story


@pytest.fixture(scope="module")
def comparison(detailed_story: Story) -> Comparison:
    return detailed_story.comparisons[0]


@pytest.fixture(scope="module")
def found(comparison: Comparison) -> Flips:
    shown = flips(comparison, reopened(comparison.data))
    assert shown is not None
    return shown


def test_the_counts_are_those_of_the_predictions(comparison: Comparison, found: Flips) -> None:
    data, (baseline, *others) = comparison.data, comparison.artifacts
    assert data is not None
    assert baseline.accuracy is not None
    for artifact, count in zip(others, found.counts, strict=True):
        assert artifact.accuracy is not None
        triples = list(
            zip(data.truth or (), baseline.accuracy.predictions or (), artifact.accuracy.predictions or (), strict=True)
        )
        assert count.name == artifact.name
        assert count.changed == sum(before != after for _, before, after in triples)
        assert count.lost == sum(before == true != after for true, before, after in triples)
        assert count.won == sum(before != true == after for true, before, after in triples)
        assert count.changed == count.lost + count.won + count.wrong
    assert found.counts[0].changed == 0, "float16 errs where float does"
    assert found.total >= max(count.changed for count in found.counts)


def test_the_most_decided_come_first_with_both_margins(comparison: Comparison, found: Flips) -> None:
    kept = [flip for artifact in comparison.others if artifact.accuracy for flip in artifact.accuracy.flips or ()]
    decided = max(min(flip.baseline_margin, flip.artifact_margin) for flip in kept)
    first = found.items[0]
    leads = [float(said.margin.removesuffix(" %")) for said in (first.baseline, *first.others)]
    assert min(leads) == pytest.approx(100 * decided)
    assert first.baseline.name == "float"
    assert first.baseline.label != first.others[0].label
    assert [said.right for said in (first.baseline, *first.others)] == [
        said.label == first.truth for said in (first.baseline, *first.others)
    ]
    assert first.picture is not None
    assert first.picture.startswith("data:image/png")
    assert len(found.items) == min(CAP, found.total)


def test_without_the_images_the_names_are_listed(comparison: Comparison, found: Flips) -> None:
    listed = flips(comparison, None)
    assert listed is not None
    assert (listed.counts, listed.total) == (found.counts, found.total)
    assert all(item.picture is None for item in listed.items)
    assert all("</script>" in item.where for item in listed.items), "the names that the result keeps"


def test_a_result_without_margins_shows_its_flips_in_order(story: Story) -> None:
    (comparison,) = story.comparisons
    listed = flips(comparison, None)
    assert listed is not None
    assert {said.margin for item in listed.items for said in (item.baseline, *item.others)} == {""}
    places = [int(item.where.removeprefix("image ")) for item in listed.items]
    assert places == sorted(places)


def test_what_keeps_no_predictions_shows_nothing(comparison: Comparison) -> None:
    assert flips(replace(comparison, data=None), None) is None
    bare = tuple(
        replace(each, accuracy=replace(each.accuracy, predictions=None)) if each.accuracy else each
        for each in comparison.artifacts
    )
    assert flips(replace(comparison, artifacts=bare), None) is None
