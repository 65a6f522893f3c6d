from __future__ import annotations

import importlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import pytest
import tf_keras

from edgeres.data.origin import Origin
from edgeres.errors import ModelError
from edgeres.keras_file import CARD, ModelCard, read_keras_file
from edgeres.keras_io import load
from edgeres.preprocess import Preprocess
from edgeres.records import encode
from edgeres.storage import sha256_file
from edgeres.training.run import NetworkConfig
from tests.edgeres.keras_models import SHAPE, classifier, edit_archive, saved
from tests.trained import Trained

MODEL_CARD = ModelCard(
    Preprocess(8, 8, scale=1 / 255, mean=(0.5, 0.25, 0.125)),
    ("ant", "bee", "gürteltier"),
    NetworkConfig("resnet8", 0.5, 3, 1234),
    Origin("folder:photos", 7),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same model as both generations save it."""
    import keras

    folder = tmp_path_factory.mktemp("keras")
    found = {}
    for name, generation in (("two", tf_keras), ("three", keras)):
        model = classifier(generation)
        for suffix in (".keras", ".h5"):
            found[name + suffix] = saved(model, folder / (name + suffix))
    return found


@pytest.mark.parametrize(("name", "generation"), [("two", 2), ("three", 3)])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_tells_which_keras_wrote_it(files: dict[str, Path], name: str, generation: int, suffix: str) -> None:
    import keras

    file = read_keras_file(files[name + suffix])
    assert file.generation == generation
    assert file.version == (keras.__version__ if generation == 3 else tf_keras.__version__)
    assert file.input_shape == SHAPE
    assert file.sha256 == sha256_file(files[name + suffix])
    assert file.card is None


def test_reading_imports_neither_keras_nor_tensorflow(files: dict[str, Path], trained: Trained) -> None:
    script = (
        "import sys; from pathlib import Path; from edgeres.keras_file import read_keras_file\n"
        "for path in sys.argv[1:]: read_keras_file(Path(path))\n"
        "sys.exit(str([n for n in ('tensorflow', 'tf_keras', 'keras') if n in sys.modules]))"
    )
    paths = [str(path) for path in (*files.values(), trained.model)]
    done = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_a_card_makes_the_round_trip(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "with_card.keras"
    path.write_bytes(files["two.keras"].read_bytes())
    edit_archive(path, CARD, json.dumps(encode(MODEL_CARD)).encode())
    assert read_keras_file(path).card == MODEL_CARD


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({**encode(MODEL_CARD), "label": []}, "edgeres.json: unknown key 'label'\n  fix: did you mean 'labels'?"),
        ({"labels": ["a"]}, "edgeres.json: the key 'preprocess' is missing"),
        ({**encode(MODEL_CARD), "preprocess": {"height": 0, "width": 8}}, "height and width must be in 1…8192"),
        ([], "edgeres.json: expected an object"),
    ],
)
def test_a_card_that_does_not_fit_is_an_error(
    files: dict[str, Path], tmp_path: Path, card: object, message: str
) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(files["two.keras"].read_bytes())
    edit_archive(path, CARD, json.dumps(card).encode())
    with pytest.raises(ModelError) as caught:
        read_keras_file(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_text_file_with_the_name_of_a_model_is_none(tmp_path: Path) -> None:
    for suffix in (".keras", ".h5", ".hdf5"):
        path = tmp_path / f"notes{suffix}"
        path.write_text("not a model\n" * 100)
        with pytest.raises(ModelError, match="is not a readable Keras file"):
            read_keras_file(path)


@pytest.mark.parametrize("name", ["two.keras", "two.h5"])
@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.9])
def test_a_truncated_file_is_an_error(files: dict[str, Path], name: str, keep: float, tmp_path: Path) -> None:
    content = files[name].read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: round(keep if keep > 1 else keep * len(content))])
    with pytest.raises(ModelError, match="is not a readable Keras file") as caught:
        read_keras_file(path)
    assert caught.value.fix == "save it again with model.save(path)"


@pytest.mark.parametrize("member", ["config.json", "metadata.json"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"5", b"null", b"{", b"\xff", b"[" * 100_000])
def test_a_damaged_member_is_an_error(files: dict[str, Path], member: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(files["two.keras"].read_bytes())
    edit_archive(path, member, content)
    with pytest.raises(ModelError, match="is not a readable Keras file"):
        read_keras_file(path)


def test_a_damaged_compression_is_an_error(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(files["two.keras"]) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("config.json").header_offset + 50
    content = bytearray(path.read_bytes())
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not a readable Keras file"):
        read_keras_file(path)


def test_weights_without_a_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "only.weights.h5"
    classifier(tf_keras).save_weights(path)
    with pytest.raises(ModelError, match="it holds weights but no model"):
        read_keras_file(path)


def test_a_configuration_in_hdf5_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    for value in ("{", "5", 5):
        path = tmp_path / "m.h5"
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = value
        with pytest.raises(ModelError, match="is not a readable Keras file"):
            read_keras_file(path)


def test_what_is_absent_or_no_keras_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        read_keras_file(tmp_path / "absent.keras")
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(ModelError):
        read_keras_file(tmp_path / "folder.keras")
    with pytest.raises(ModelError, match="is no Keras file") as caught:
        read_keras_file(tmp_path / "model.pt")
    assert ".keras, .h5" in str(caught.value.fix)


def test_an_open_input_size_is_told(tmp_path: Path) -> None:
    path = saved(classifier(tf_keras, shape=(None, None, 3)), tmp_path / "m.keras")
    with pytest.raises(ModelError, match="of fixed size") as caught:
        _ = read_keras_file(path).input_shape
    assert "fixed Input shape" in str(caught.value.fix)


def test_a_loss_of_ones_own_does_not_keep_a_model_from_being_read(tmp_path: Path) -> None:
    def my_loss(truth: object, scores: object) -> object:
        return tf_keras.losses.sparse_categorical_crossentropy(truth, scores)

    model = classifier(tf_keras)
    model.compile("sgd", my_loss)
    for suffix in (".keras", ".h5"):
        assert read_keras_file(saved(model, tmp_path / f"m{suffix}")).input_shape == SHAPE


@pytest.mark.parametrize("generation", ["tf_keras", "keras"])
def test_how_an_h5_was_compiled_is_not_loaded_unless_it_stands_where_keras_would_build_it(
    generation: str, tmp_path: Path
) -> None:
    keras = importlib.import_module(generation)
    model = classifier(keras)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    path = saved(model, tmp_path / "m.h5")
    assert getattr(load(read_keras_file(path)), "optimizer", None) is None
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        config["compile_config"] = {"optimizer": "adam", "loss": {"class_name": "Lambda", "config": {}}}
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelError, match=r"refused before loading: .*Lambda"):
        read_keras_file(path)
