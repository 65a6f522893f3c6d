from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tf_keras

from converters.job import Job, contract_for
from converters.pipeline import _advance
from converters.pruning.magnitude import _schedule, run, sparsity
from converters.recipe import PruneStep, load_recipe
from edgeres.console import run as command
from edgeres.errors import DataError, ModelError
from edgeres.keras_file import KerasFile, read_keras_file
from edgeres.keras_io import load
from tests.edgeres.keras_models import classifier, saved
from tests.trained import PRUNING, Trained

STEP = load_recipe("pruned-int8", overrides=PRUNING).steps[0]


@pytest.fixture(scope="module")
def pruned(trained: Trained) -> KerasFile:
    """What the step makes of the trained network; also a part of its bundle, hence from the pipeline's cache."""
    path, _ = _advance(trained.job, STEP, trained.model, trained.job.file.sha256)
    return read_keras_file(path)


def test_each_kernel_has_its_share_of_zeros_after_stripping(pruned: KerasFile) -> None:
    found = sparsity(load(pruned))
    assert len(found) == 10
    for name, share in found.items():
        assert share == pytest.approx(0.6, abs=0.005), name


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (1, 4), (2, 1), (7, 1), (10, 1), (19, 4), (450, 1)])
@pytest.mark.parametrize("ramp", [0.01, 0.3, 1.0])
def test_the_wanted_sparsity_is_reached_at_a_step_that_there_is(steps: int, epochs: int, ramp: float) -> None:
    schedule = _schedule(PruneStep(step="prune", sparsity=0.6, epochs=epochs, ramp=ramp), steps)
    updates = [schedule(step) for step in range(steps * epochs)]
    reached = [float(share) for update, share in updates if bool(update)]
    assert reached[-1] == pytest.approx(0.6)
    assert reached == sorted(reached)


def test_shapes_names_and_the_card_stay(pruned: KerasFile, trained: Trained) -> None:
    before, after = load(read_keras_file(trained.model)), load(pruned)
    assert [layer.name for layer in after.layers] == [layer.name for layer in before.layers]
    assert [weight.shape for weight in after.get_weights()] == [weight.shape for weight in before.get_weights()]
    assert pruned.card == read_keras_file(trained.model).card
    assert sparsity(before)["stem_conv"] < 0.01


def test_fine_tuning_changed_what_was_left_and_it_still_works(pruned: KerasFile, trained: Trained) -> None:
    before, after = load(read_keras_file(trained.model)), load(pruned)
    old, new = (model.get_layer("stage1_block0_conv1").kernel.numpy() for model in (before, after))
    assert not np.array_equal(new[new != 0], old[new != 0])
    split = trained.job.dataset.split("test")
    inputs = np.stack([trained.job.contract(content) for content, _ in split])
    assert np.mean(after(inputs).numpy().argmax(axis=1) == split.classes) > 0.5


@pytest.mark.slow
def test_a_keras_3_model_with_a_model_inside_is_pruned(trained: Trained, tmp_path: Path) -> None:
    import keras

    base = classifier(keras).layers[1]
    stack = [keras.Input((8, 8, 3)), keras.layers.RandomFlip(), keras.layers.Rescaling(1 / 255)]
    stack += [keras.Sequential([keras.Input((8, 8, 3)), base, keras.layers.BatchNormalization()], name="base")]
    stack += [keras.layers.Activation("hard_silu"), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)]
    path = saved(keras.Sequential(stack), tmp_path / "three.keras")
    options = ["--data", "digits", "--preprocess", "raw", "--out", str(tmp_path / "b")]
    settings = [word for setting in PRUNING for word in ("--set", setting)]
    assert command(["convert", str(path), "--recipe", "pruned-int8", *options, *settings]) == 0
    file = read_keras_file(path)
    job = Job(file, trained.job.dataset, contract_for(file, "raw"))
    pruned, _ = _advance(job, STEP, path, file.sha256)
    found = sparsity(load(read_keras_file(pruned)))
    assert len(found) == 2
    assert all(share == pytest.approx(0.6, abs=0.02) for share in found.values())


def test_what_cannot_be_rebuilt_is_not_pruned_and_says_why(trained: Trained, tmp_path: Path) -> None:
    import keras

    path = saved(classifier(keras, body=keras.layers.AutoContrast(name="odd"), classes=10), tmp_path / "three.keras")
    job = Job(read_keras_file(path), trained.job.dataset, contract_for(read_keras_file(path), "raw"))
    with pytest.raises(ModelError, match="cannot be pruned: layer 'odd': AutoContrast has no counterpart") as caught:
        run(STEP, job, path)
    assert "without the step 'prune'" in str(caught.value.fix)


def test_a_layer_that_cannot_be_wrapped_is_an_error(trained: Trained, tmp_path: Path) -> None:
    model = tf_keras.Sequential(
        [
            tf_keras.Input((8, 8, 3)),
            tf_keras.layers.PReLU(),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(10),
        ]
    )
    path = saved(model, tmp_path / "odd.keras")
    file = read_keras_file(path)
    with pytest.raises(ModelError, match="tfmot cannot prune this model") as caught:
        run(STEP, Job(file, trained.job.dataset, contract_for(file, "raw")), path)
    assert "int8" in str(caught.value.fix)


def test_another_number_of_classes_is_refused_before_any_training(trained: Trained, tmp_path: Path) -> None:
    path = saved(classifier(tf_keras, classes=7), tmp_path / "seven.keras")
    file = read_keras_file(path)
    with pytest.raises(DataError, match="has 7 outputs, digits has 10 classes"):
        run(STEP, replace(trained.job, file=file, contract=contract_for(file, "raw")), path)
