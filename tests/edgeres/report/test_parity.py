from __future__ import annotations

from pathlib import Path

from edgeres.report.headline import sentences
from edgeres.report.parity import parity_flips, parity_line
from edgeres.report.story import ResultSource, Story
from edgeres.results import ArtifactResult, Flip, Parity, Result

FLIP = Flip(3, "cat/3.png", truth=0, baseline=0, artifact=1, baseline_margin=0.00012, artifact_margin=0.0003)


def row(**fields: object) -> ArtifactResult:
    parity = Parity(**{"passed": True, "images": 256, "largest": 3.2e-7, "accepted": 1e-4, "flips": (), **fields})  # type: ignore[arg-type]
    return ArtifactResult("model", "model.keras", "0" * 64, 1000, "cpu", baseline=True, parity=parity)


def test_a_flatbuffer_that_is_the_same_is_said_to_be() -> None:
    line = parity_line(row())
    assert line == (
        "model: its flatbuffer gives Keras' probabilities within 3.2e-07 (accepted 1e-04) on 256 images; "
        "none changes class"
    )


def test_every_image_that_changes_class_is_listed_with_both_margins() -> None:
    labels = ("cat", "dog")
    assert parity_flips(row(flips=(FLIP,)), labels) == [
        "cat/3.png: Keras says cat, ahead by 0.0001; the flatbuffer dog, ahead by 0.0003"
    ]
    many = parity_flips(row(flips=(FLIP,) * 12), labels)
    assert len(many) == 11
    assert many[-1] == "… and 2 more, in the JSON"


def test_a_flatbuffer_that_is_another_goes_first_in_the_report() -> None:
    result = Result(environment={}, artifacts=(row(passed=False, largest=0.03, flips=(FLIP,)),))
    story = Story((), (), (ResultSource(Path("r.json"), result),))
    first = sentences(story)[0]
    assert first.subject == "model"
    assert first.text.startswith("NOT WHAT KERAS COMPUTES: a probability of its flatbuffer is off by 3.0e-02")


def test_what_was_not_measured_has_no_line() -> None:
    none = ArtifactResult("model", "model.tflite", "0" * 64, 1000, "cpu", baseline=True)
    assert parity_line(none) is None
    assert parity_flips(none, ()) == []
