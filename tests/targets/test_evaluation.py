from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeres.data import open_dataset
from edgeres.data.dataset import Dataset
from edgeres.errors import ConfigError, DataError, ModelError, TargetError
from edgeres.preprocess import Preprocess
from targets import TARGETS
from targets.artifact import Artifact
from targets.evaluation import Evaluation, evaluate
from tests.targets.bundles import CONTRACT, LABELS_OF_DATA, write_images
from tests.targets.conftest import Models
from tests.targets.double import DoubleSession, DoubleTarget, signature


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(write_images(tmp_path_factory.mktemp("data") / "images", each=40), seed=1)


def artifact(models: Models, name: str, **fields: object) -> Artifact:
    return Artifact(**{"name": name, "path": f"{name}.tflite", "kind": "tflite", "model": models(name)} | fields)  # type: ignore[arg-type]


def test_real_models_are_compared_on_the_same_images(models: Models, dataset: Dataset) -> None:
    exhibits = [artifact(models, name, preprocess=CONTRACT, labels=LABELS_OF_DATA) for name in ("float32", "int8")]
    result = evaluate(exhibits, dataset, baseline=0)
    first, second = result.artifacts
    split = dataset.split("test")
    assert (first.baseline, second.baseline) == (True, False)
    assert (first.sha256, first.size_bytes, first.target) == (exhibits[0].sha256, len(models("float32")), "cpu")
    assert first.operators is not None
    assert 0 < first.operators.delegated <= first.operators.nodes
    assert first.accuracy is not None
    assert second.accuracy is not None
    assert first.accuracy.verdict is None
    assert second.accuracy.verdict in ("pass", "fail", "insufficient")
    assert first.accuracy.predictions is not None
    right = np.mean(np.asarray(first.accuracy.predictions) == split.classes)
    assert first.accuracy.top1.value == pytest.approx(right)
    assert second.accuracy.agreement is not None
    assert second.accuracy.agreement.n == len(split)
    assert result.data is not None
    assert (result.data.split, result.data.seed, result.data.truth) == ("test", 1, tuple(split.classes))
    assert result.environment["cores"] >= 1


def test_what_a_target_refuses_has_a_row_that_says_why(models: Models, dataset: Dataset) -> None:
    """TFLite Micro runs no float16 weights."""
    given = [artifact(models, name, preprocess=CONTRACT, labels=LABELS_OF_DATA) for name in ("float16", "float32")]
    refused, measured = evaluate(given, dataset, baseline=0, plan=Evaluation(target="micro", images=8)).artifacts
    assert refused.failure is not None
    assert refused.failure.message.startswith("float16.tflite: TFLite Micro does not run DEQUANTIZE")
    assert refused.baseline
    assert refused.accuracy is None
    assert measured.failure is None
    assert measured.accuracy is not None
    assert measured.accuracy.verdict is None


def test_predictions_do_not_depend_on_who_else_runs_or_in_which_order_the_labels_are(
    models: Models, dataset: Dataset
) -> None:
    plain = artifact(models, "float32", preprocess=CONTRACT)
    turned = artifact(models, "float32", preprocess=CONTRACT, labels=LABELS_OF_DATA[::-1])
    alone = evaluate([plain], dataset).artifacts[0]
    both = evaluate([plain, turned], dataset).artifacts
    assert not alone.baseline
    assert alone.accuracy == both[0].accuracy
    assert alone.accuracy is not None
    assert both[1].accuracy is not None
    assert both[1].accuracy.predictions == tuple(3 - index for index in alone.accuracy.predictions or ())


def test_a_baseline_that_is_preprocessed_otherwise_is_told(
    models: Models, dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    plain = artifact(models, "float32", preprocess=CONTRACT)
    scaled = artifact(models, "int8", preprocess=replace(CONTRACT, scale=0.5, kernel="bicubic"))
    evaluate([plain, plain], dataset, baseline=0)
    assert caplog.messages == []
    evaluate([plain, scaled], dataset, baseline=0)
    assert ["int8.tflite" in message and "(kernel, scale)" in message for message in caplog.messages] == [True]


def test_the_plan_says_what_is_measured(models: Models, dataset: Dataset) -> None:
    plan = Evaluation(target="reference", split="train", images=7, margin_points=50)
    exhibits = [replace(artifact(models, "float32", preprocess=CONTRACT), name=name) for name in "ab"]
    result = evaluate(exhibits, dataset, baseline=1, plan=plan)
    assert [one.baseline for one in result.artifacts] == [False, True]
    assert {one.target for one in result.artifacts} == {"reference"}
    assert result.data is not None
    assert (result.data.split, result.data.images) == ("train", 7)
    accuracy = result.artifacts[0].accuracy
    assert accuracy is not None
    assert (accuracy.images, accuracy.margin_points, accuracy.verdict) == (7, 50, "pass")


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        ({}, ConfigError, "float32.tflite does not say"),
        ({"preprocess": Preprocess(8, 8)}, ModelError, "float32.tflite.*inputs of shape"),
        ({"preprocess": CONTRACT, "labels": ("ant", "bee", "cow", "dog")}, DataError, "float32.tflite.*classes"),
        ({"preprocess": CONTRACT, "labels": ("ant", "bee")}, DataError, "its 2 classes"),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_the_artifact(
    models: Models, dataset: Dataset, fields: dict[str, object], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        evaluate([artifact(models, "float32", **fields)], dataset)


def test_a_model_with_another_number_of_classes_is_an_error(models: Models, tmp_path: Path) -> None:
    data = open_dataset(write_images(tmp_path / "three", labels=("x", "y", "z")))
    with pytest.raises(ModelError, match="each of the 3 classes"):
        evaluate([artifact(models, "float32", preprocess=CONTRACT)], data)


def test_sessions_are_closed_when_an_image_becomes_corrupt(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = open_dataset(write_images(tmp_path / "images"))
    data.split("train")  # looks at every image of it
    for path in (tmp_path / "images").glob("*/003.png"):
        path.write_bytes(path.read_bytes()[:100])
    target = DoubleTarget(lambda _: DoubleSession(signature=signature((16, 16, 3), 4)))
    monkeypatch.setitem(TARGETS, "double", f"{__name__}:DOUBLE")
    monkeypatch.setattr(f"{__name__}.DOUBLE", target, raising=False)
    with pytest.raises(DataError, match=r"003\.png: the image is corrupt"):
        evaluate([artifact(models, "float32", preprocess=CONTRACT)] * 2, data, plan=BROAD)
    assert len(target.opened) >= 2
    assert all(session.calls[-1] == "double close" for session in target.opened)


def test_corrupt_images_are_left_out_and_reported(models: Models, tmp_path: Path) -> None:
    source = write_images(tmp_path / "images", each=60)
    dealt = open_dataset(source).dealt("train")
    for position in (1, 3):
        (tmp_path / "images" / dealt.where(position)).write_bytes(b"no image")
    few = Evaluation(split="train", images=10)
    data = evaluate([artifact(models, "float32", preprocess=CONTRACT)], open_dataset(source), plan=few).data
    assert data is not None
    assert data.images == 10
    assert data.left_out == (dealt.where(1), dealt.where(3))
    kept = [int(dealt.classes[position]) for position in range(12) if position not in (1, 3)]
    assert data.truth == tuple(kept)


BROAD = Evaluation(target="double", split="train")
DOUBLE: DoubleTarget


def test_an_unknown_target_is_an_error(models: Models, dataset: Dataset) -> None:
    with pytest.raises(TargetError, match="did you mean 'cpu'"):
        evaluate([artifact(models, "float32", preprocess=CONTRACT)], dataset, plan=Evaluation(target="cpuu"))
