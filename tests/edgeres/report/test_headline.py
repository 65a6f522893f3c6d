from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgeres.preprocess import Preprocess, named
from edgeres.report.headline import model_facts, preprocessing, sentences
from edgeres.report.story import ResultSource, Story
from edgeres.results import Proof, Result


def test_the_model_is_described_from_its_run(story: Story) -> None:
    facts = model_facts(story)
    assert facts["Network"] == "resnet8"
    assert facts["Parameters"] == "78,666"
    assert facts["Input"] == "32 × 32 pixels, rgb"
    assert facts["Classes"].startswith("3: ")


def test_without_a_run_a_bundle_describes_it(story: Story) -> None:
    assert model_facts(replace(story, runs=())) == model_facts(story)


def test_without_either_the_baseline_names_it(story: Story) -> None:
    assert model_facts(Story((), (), story.results))["Network"] == "float"
    assert model_facts(Story((), (), ())) == {}


def test_every_bundle_gets_one_sentence_with_intervals_and_verdicts(story: Story) -> None:
    said = {sentence.subject: sentence for sentence in sentences(story)}
    assert list(said) == ["float16", "dynamic-int8", "int8", "pruned-int8"]
    int8 = said["int8"].text
    assert "98.5 kB, 29.8 % of the 330 kB of float" in int8
    assert "top-1 drop 0.12 points (95 % interval −0.37 to 0.61)" in int8
    assert "3.33× (95 % interval 3.27 to 3.39) the speed of float on cpu, 1 thread: faster" in int8
    assert said["int8"].verdicts == ("pass", "faster")


def test_no_answer_is_said_as_plainly_as_an_answer(story: Story) -> None:
    said = {sentence.subject: sentence for sentence in sentences(story)}
    assert "insufficient, these images cannot tell" in said["dynamic-int8"].text
    assert "inconclusive, the measurement cannot tell" in said["float16"].text
    assert "fail, the drop is beyond the margin of 1 point" in said["pruned-int8"].text


def test_what_was_not_measured_is_said(story: Story) -> None:
    (first, *_) = sentences(replace(story, results=story.results[:1]))
    assert "its speed was not compared" in first.text
    (first, *_) = sentences(replace(story, results=story.results[1:]))
    assert "its accuracy was not compared" in first.text
    assert "neither its accuracy nor its speed" in sentences(replace(story, results=()))[0].text


def test_a_target_that_computes_something_else_is_said_first(story: Story) -> None:
    latency = story.results[1]
    *others, last = latency.result.artifacts
    failed = replace(last, proof=Proof(passed=False, images=4, largest=161, accepted=8, flips=3))
    result = replace(latency.result, artifacts=(*others, failed))
    first, *_ = sentences(replace(story, results=(replace(latency, result=result),)))
    assert first.subject == f"{last.name} on {last.target}"
    assert first.text.startswith("NOT PROVED: differs from the reference kernels by 161, accepted 8")
    passed = replace(failed, proof=Proof(passed=True, images=4, largest=1, accepted=8, flips=0))
    result = replace(latency.result, artifacts=(*others, passed))
    assert "NOT PROVED" not in sentences(replace(story, results=(replace(latency, result=result),)))[0].text


def test_no_baseline_is_said(story: Story) -> None:
    alone = Result({}, (replace(story.results[0].result.artifacts[1]),))
    (said,) = sentences(Story((), (), (ResultSource(Path("x.json"), alone),)))
    assert "no baseline" in said.text


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        (named("raw", height=8, width=8), "stretched (bilinear), pixel"),
        (named("symmetric", height=8, width=8), "pixel × 0.00784314 − 1"),
        (named("torch", height=8, width=8), "− (0.485, 0.456, 0.406)) ÷ (0.229, 0.224, 0.225)"),
        (Preprocess(8, 8, resize="crop", crop_fraction=0.875, std=(2.0,)), "cropped (0.875) (bilinear), pixel ÷ 2"),
    ],
)
def test_preprocessing_in_words(contract: Preprocess, words: str) -> None:
    assert words in preprocessing(contract)
