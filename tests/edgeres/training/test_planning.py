"""What `edgeres train` is told, as what is trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tf_keras as keras
from tf_keras import layers

from edgeres.console import run
from edgeres.errors import ModelError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from edgeres.storage import sha256_file
from edgeres.training.run import CONFIG, HISTORY, MODEL, model_of, read_config
from tests.edgeres.training.conftest import LABELS
from tests.trained import Trained


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two generations ago, which says nothing of its preprocessing."""
    path = tmp_path_factory.mktemp("mine") / "mine.h5"
    steps = [keras.Input((12, 20, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()]
    keras.Sequential([*steps, layers.Dense(3, "softmax")], name="mine").save(path)
    return path


@pytest.fixture
def unfinished(trained: Trained, tmp_path: Path) -> Path:
    """A run that was stopped after its first epoch."""
    folder = tmp_path / "unfinished"
    folder.mkdir()
    shutil.copy(trained.folder / CONFIG, folder)
    history = json.loads((trained.folder / HISTORY).read_text())
    (folder / HISTORY).write_text(json.dumps({**history, "epochs": history["epochs"][:1], "test_accuracy": None}))
    return folder


def command(model: object, pictures: str, out: Path, *options: object) -> list[str]:
    return ["train", str(model), "--data", pictures, "--out", str(out), *map(str, options)]


@pytest.mark.parametrize(
    ("model", "options", "code", "message"),
    [
        ("nothing.keras", (), 3, "nothing.keras is neither a network of the zoo nor an existing file"),
        ("runs/nothing", (), 3, "runs/nothing is neither a network of the zoo nor an existing file"),
        ("x" * 5000, (), 3, "unknown network 'xxx"),
        (f"{'x' * 5000}.keras", (), 3, "is neither a network of the zoo nor an existing file"),
        ("resnet51", (), 3, "unknown network 'resnet51'"),
        ("notes.txt", (), 5, "notes.txt is no Keras file"),
        ("MINE", (), 3, "does not say how pixels become its input"),
        ("MINE", ("--width", 0.5), 3, "--width 0.5 is for networks of the zoo"),
        ("MINE", ("--input-size", 12), 3, "--input-size 12 is for networks of the zoo"),
        ("MINE", ("--weights", "imagenet"), 3, "--weights imagenet is for networks of the zoo"),
        ("resnet8", ("--join-timeout", 3), 3, "--join-timeout has no effect"),
        ("resnet8", ("--set", "distill.alpha=0.5"), 3, "distill.alpha has no effect: no teacher is given"),
        ("resnet8", ("--set", "milestones=[3]"), 3, "milestones has no effect: schedule is 'cosine'"),
        ("resnet8", ("--teacher", "unfinished"), 5, "unfinished is a run that has not ended: 1 of 3 epochs are done"),
        ("unfinished", (), 5, "unfinished is a run that has not ended"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    model: str,
    options: tuple[object, ...],
    code: int,
    message: str,
    mine: Path,
    unfinished: Path,
    pictures: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("no model")
    assert run(command(model.replace("MINE", str(mine)), pictures, tmp_path / "run", *options)) == code
    said = capsys.readouterr().err
    assert message in said
    assert "fix:" in said
    assert not (tmp_path / "run").exists()


def test_an_unfinished_run_says_how_to_finish_it(unfinished: Path, trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        model_of(unfinished)
    assert f"edgeres train resnet8 --data digits --out {unfinished} --resume" in str(caught.value.fix)
    assert model_of(trained.folder) == trained.model
    assert model_of(tmp_path / "any.keras") == tmp_path / "any.keras"


def test_an_unfinished_run_of_a_model_in_memory_is_finished_from_python(unfinished: Path, tmp_path: Path) -> None:
    config = json.loads((unfinished / CONFIG).read_text())
    (unfinished / CONFIG).write_text(json.dumps({**config, "model": "mine in memory (0123)"}))
    with pytest.raises(ModelError) as caught:
        model_of(unfinished)
    assert f"train(plan, Path('{unfinished}'), resume=True)" in str(caught.value.fix)
    (unfinished / CONFIG).write_text(json.dumps({**config, "model": "my models/a.keras (0123)"}))
    with pytest.raises(ModelError) as caught:
        model_of(unfinished.rename(tmp_path / "a run"))
    assert f"edgeres train 'my models/a.keras' --data digits --out '{tmp_path}/a run' --resume" in str(caught.value.fix)


def test_a_file_is_trained_as_it_is(
    mine: Path, pictures: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of another size than any of the zoo: neither square nor known."""
    out = tmp_path / "run"
    options = ("--preprocess", "unit", "--epochs", 1, "--batch", 16)
    assert run(command(mine, pictures, out, *options)) == 0
    assert f"{out}/model.keras: test accuracy" in capsys.readouterr().out
    config, file = read_config(out), read_keras_file(out / MODEL)
    assert config.model == f"{mine} ({sha256_file(mine)})"
    assert config.given == str(mine)
    assert config.preprocess.shape == (12, 20, 3)
    assert file.card is not None
    assert (file.card.labels, file.card.network) == (LABELS, None)
    assert load(file).layers[-1].get_config()["activation"] == "softmax"
    assert f"edgeres train {mine} --data" in (out / "report.html").read_text()
    assert "--input-size" not in (out / "report.html").read_text()
    # What was trained carries its preprocessing, and its run is a model as well.
    assert run(command(out, pictures, tmp_path / "again", "--epochs", 1, "--batch", 16)) == 0
    assert read_config(tmp_path / "again").preprocess == config.preprocess


def test_a_file_is_not_measured_on_its_training_images(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(trained.model, "digits", tmp_path / "run", "--split-seed", 1)) == 4
    assert "images it was trained on would be among them" in capsys.readouterr().err
