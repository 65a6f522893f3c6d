from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from converters.job import Job
from converters.pipeline import _advance
from converters.pruning.magnitude import _schedule, run, sparsity
from converters.recipe import load_recipe
from converters.steps import PruneStep
from edgeres.console import run as command
from edgeres.contracts import contract_for
from edgeres.errors import ArtifactError, ConfigError, DataError, ModelError
from edgeres.keras_file import KerasFile, read_keras_file
from edgeres.keras_io import load
from tests.converters.small import small_job
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
    schedule = _schedule(PruneStep(step="prune", epochs=epochs, ramp=ramp), 0.6, steps)
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
        run(STEP, job, path, tmp_path / "state")
    assert "without the steps 'slim' and 'prune'" in str(caught.value.fix)


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
    job = Job(file, trained.job.dataset, contract_for(file, "raw"))
    with pytest.raises(ModelError, match=r"tfmot cannot prune the layer 'p_re_lu\w*' \(PReLU\)") as caught:
        run(STEP, job, path, tmp_path / "state")
    assert "leave it dense: --set 'prune.layers={p_re_lu" in str(caught.value.fix)


def test_another_number_of_classes_is_refused_before_any_training(trained: Trained, tmp_path: Path) -> None:
    path = saved(classifier(tf_keras, classes=7), tmp_path / "seven.keras")
    file = read_keras_file(path)
    with pytest.raises(DataError, match="has 7 outputs, digits has 10 classes"):
        run(STEP, replace(trained.job, file=file, contract=contract_for(file, "raw")), path, tmp_path / "state")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return small_job(tmp_path_factory.mktemp("small"))


def pruned_small(job: Job, folder: Path, **settings: Any) -> Any:
    """The small network pruned for an epoch, loaded again from its file."""
    step = PruneStep(step="prune", epochs=1, batch=8, **settings)
    path = folder / "pruned.keras"
    path.write_bytes(run(step, job, job.file.path, folder / "state"))
    return load(read_keras_file(path))


def test_each_layer_has_the_sparsity_of_its_pattern_and_the_ends_stay_dense(small: Job, tmp_path: Path) -> None:
    model = pruned_small(small, tmp_path, sparsity=0.5, layers={"left": 0, "h*": 0.25, "*t": 0.75})
    expected = {"stem": 0, "left": 0, "right": 0.75, "side": 0.5, "hidden": 0.25, "logits": 0}
    assert sparsity(model) == pytest.approx(expected, abs=0.01)


def test_2_of_each_4_weights_are_zero_along_the_input_channels(small: Job, tmp_path: Path) -> None:
    model = pruned_small(small, tmp_path, pattern="2:4")
    for name in ("left", "right", "side", "hidden"):
        kernel = np.moveaxis(model.get_layer(name).kernel.numpy(), -1, 0)  # inputs last: four in a row are a group
        zeros = (kernel.reshape(-1, 4) == 0).sum(axis=1)
        assert set(np.unique(zeros)) == {2}, name
    assert sparsity(model)["stem"] == sparsity(model)["logits"] == 0


def test_blocks_of_a_dense_layer_are_zero_together(small: Job, tmp_path: Path) -> None:
    model = pruned_small(small, tmp_path, pattern="block", block_size=(4, 2), block_pooling="max")
    kernel = model.get_layer("hidden").kernel.numpy()
    zeros = (kernel.reshape(4, 4, 8, 2) == 0).sum(axis=(1, 3))
    assert set(np.unique(zeros)) == {0, 8}
    assert (zeros == 8).mean() == 0.5
    assert sum(sparsity(model).values()) == 0.5, "convolutions stay dense"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": {"rihgt": 0.5}}, "'rihgt' fits no layer with a kernel to prune\n  fix: did you mean 'right'?"),
        ({"sparsity": 0.0}, "nothing is to be pruned: of 6 layers with a kernel, all stay dense"),
        ({"layers": {"*": 0.0}}, "nothing is to be pruned"),
        (
            {"pattern": "block", "block_size": (4, 1), "layers": {"s*": 0.5}},
            "'stem' (Conv2D) cannot be pruned in blocks",
        ),
    ],
)
def test_settings_that_do_not_fit_the_model_are_an_error(
    small: Job, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        pruned_small(small, tmp_path, **settings)
    assert message in str(caught.value)


@pytest.mark.slow
def test_a_killed_fine_tuning_goes_on_from_its_last_whole_epoch(small: Job, tmp_path: Path, own_cache: Path) -> None:
    recipe = tmp_path / "long.yaml"
    recipe.write_text("name: long\nsteps: [{step: prune, epochs: 40, batch: 8}, {step: export}]\n")
    folder = small.file.path.parent
    with subprocess.Popen([sys.executable, "-m", "tests.converters.small", str(folder), str(recipe)]) as process:
        deadline = time.monotonic() + 200
        while not (kept := _epoch_in_force(own_cache)):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not list(own_cache.glob("prune/*.keras"))
    told: list[tuple[int, int]] = []
    job = replace(small, progress=lambda _, epochs, total: told.append((epochs, total)))
    step = load_recipe(str(recipe)).steps[0]
    path, _ = _advance(job, step, small.file.path, small.file.sha256)
    assert told[0][0] > kept, "it began behind an epoch that was kept"
    assert told[-1] == (40, 40)
    assert path.is_file()
    assert not list(own_cache.glob("prune/*.state"))


def _epoch_in_force(cache: Path) -> int:
    """The epoch from which a fine-tuning would go on; its files alone do not say, one more names those that count."""
    named = [tf.train.latest_checkpoint(str(folder)) for folder in cache.glob("prune/*.state/checkpoint")]
    return max((int(name.rpartition("-")[2]) for name in named if name), default=0)


def test_an_interrupted_fine_tuning_ends_with_the_weights_of_an_undisturbed_one(small: Job, tmp_path: Path) -> None:
    step = PruneStep(step="prune", epochs=3, batch=8, ramp=1.0)

    class StopError(Exception):
        pass

    def stop(_: str, done: int, __: int) -> None:
        if done == 2:
            raise StopError

    with pytest.raises(StopError):
        run(step, replace(small, progress=stop), small.file.path, tmp_path / "stopped")
    ends = []
    for name in ("stopped", "new"):
        (tmp_path / f"{name}.keras").write_bytes(run(step, small, small.file.path, tmp_path / name))
        ends.append(load(read_keras_file(tmp_path / f"{name}.keras")).get_weights())
    for stopped, undisturbed in zip(*ends, strict=True):
        np.testing.assert_allclose(stopped, undisturbed, rtol=0, atol=1e-5)
    for file in (tmp_path / "stopped").glob("checkpoint/*.data*"):
        file.write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match="is damaged"):
        run(step, small, small.file.path, tmp_path / "stopped")
