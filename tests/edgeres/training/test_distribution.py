"""Several replicas train as one: in one process on two logical devices, and in two processes that are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from edgeres.training.cluster import Cluster
from edgeres.training.distribution import Group
from edgeres.training.run import read_history
from tests.edgeres.training.ports import free_addresses

CLI = Path(__file__).parents[3] / "cli.py"
EPOCHS = 8
TRAIN = ("train", "resnet8", "--width", "0.125", "--input-size", "16", "--data", "digits", "--set", "augment=none")
TRAIN = (*TRAIN, "--epochs", str(EPOCHS))

TWO_DEVICES = """
import sys
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
"""

# Two steps of a linear layer on 7 images in batches of 4 (the last has 3), on one device and on two.
SAME_STEPS = """
import numpy as np
import tf_keras as keras
from edgeres.training.distribution import Devices, Group
from edgeres.training.loop import Loop
from edgeres.training.step import Step

images = np.random.default_rng(0).random((7, 2, 2, 1), np.float32)
targets = np.eye(3, dtype=np.float32)[np.arange(7) % 3]

def weights(group):
    with group.strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Flatten(input_shape=(2, 2, 1)), keras.layers.Dense(3)])
        optimizer = keras.optimizers.SGD(0.5, momentum=0.9)
        loop = Loop(group)
        optimizer.build(model.trainable_variables)
    step = Step(model, optimizer, lambda _, truth, logits: tf.nn.softmax_cross_entropy_with_logits(truth, logits))
    feed = group.shares.deal(7, 4).map(lambda _, __, a, b: (tf.constant(images)[a:b], tf.constant(targets)[a:b]))
    loop.train(feed, loop.stepping(step, model, None), steps=group.shares.steps(7, 4), told=lambda *_: None)
    assert loop.totals.counts()[1] == 7
    return group.shares.replicas, model.get_weights()

one, alone = weights(Group(tf.distribute.get_strategy()))
two, together = weights(Devices("mirrored").join())
assert (one, two) == (1, 2)
for a, b in zip(alone, together, strict=True):
    np.testing.assert_allclose(a, b, atol=1e-6)
print("equal")
"""

# Of two trainings in one process the second would meet collectives of the first: only the last one trains.
COMMANDS = """
from edgeres.console import run

out, *train = sys.argv[1:]
assert run([*train, "--batch", "1", "--out", f"{out}/refused"]) == 3
assert run([*train, "--out", f"{out}/run"]) == 0
"""


@pytest.mark.parametrize("content", [b"", b"x", b"four", b"12345"])
def test_what_the_chief_gives_arrives_whole(content: bytes) -> None:
    """One process alone, called the first of two: what it adds is the sum."""
    group = Group(tf.distribute.get_strategy(), Cluster(("a:1", "b:1"), 0))
    assert group.from_chief(content) == content


def python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES + code, *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_two_devices_step_as_one_does() -> None:
    assert python(SAME_STEPS).strip() == "equal"


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of this module on two logical devices of one process, after one whose batch is too small for them."""
    out = tmp_path_factory.mktemp("mirrored")
    python(COMMANDS, str(out), *TRAIN, "--distribute", "mirrored")
    return out / "run"


@pytest.mark.slow
def test_a_batch_smaller_than_the_devices_is_refused_and_leaves_nothing(mirrored: Path) -> None:
    assert list(mirrored.parent.iterdir()) == [mirrored]


class Workers:
    """Real processes of one training on loopback."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options, self.addresses = folder, options, free_addresses(2)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, index: int, *options: str) -> None:
        task = {"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": index}}
        # Each has a folder of its own: they do not see each other's files.
        out = self.folder / f"machine{index}" / "run"
        out.parent.mkdir(exist_ok=True)
        with (self.folder / f"{index}.log").open("ab") as log:
            self.processes[index] = subprocess.Popen(
                [
                    sys.executable,
                    str(CLI),
                    *TRAIN,
                    "--distribute",
                    "multiworker",
                    "--out",
                    str(out),
                    *self.options,
                    *options,
                ],
                env={**os.environ, "TF_CONFIG": json.dumps(task)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log(self, index: int) -> str:
        return (self.folder / f"{index}.log").read_text()

    def wait_for_epoch(self, since: str | None = None) -> None:
        """Until the chief has told of an epoch, after it said `since`."""
        deadline = time.monotonic() + 300
        while f"/{EPOCHS}  loss" not in (self.log(0).partition(since)[2] if since else self.log(0)):
            assert self.processes[0].poll() is None, self.log(0)
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def kill(self, index: int) -> None:
        os.killpg(self.processes[index].pid, signal.SIGKILL)
        self.processes[index].wait(60)

    def end(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(60)


AGAIN = "another worker of the training ended, or does not answer; starting again"


@pytest.mark.slow
def test_killed_workers_that_come_back_end_the_training_with_the_others(tmp_path: Path, mirrored: Path) -> None:
    """First one that is not the chief, then the chief."""
    workers = Workers(tmp_path)
    try:
        workers.start(0)
        workers.start(1)
        workers.wait_for_epoch()
        for killed in (1, 0):
            workers.kill(killed)
            workers.start(killed, "--resume")
            if killed == 1:
                workers.wait_for_epoch(since=AGAIN)
        codes = [workers.processes[index].wait(300) for index in (0, 1)]
        assert codes == [0, 0], workers.log(0) + workers.log(1)
    finally:
        workers.end()
    assert AGAIN in workers.log(0)
    assert AGAIN in workers.log(1)
    assert sorted(path.name for path in tmp_path.glob("machine*/*")) == ["run"]  # the chief's alone
    assert (tmp_path / "machine0" / "run" / "model.keras").is_file()
    found = read_history(tmp_path / "machine0" / "run")
    assert [epoch.epoch for epoch in found.epochs] == list(range(1, EPOCHS + 1))
    # Two processes of one device each compute what one process with two devices does.
    losses = [[epoch.loss for epoch in history.epochs] for history in (found, read_history(mirrored))]
    np.testing.assert_allclose(*losses, rtol=0.02)


@pytest.mark.slow
def test_a_worker_whose_peer_stays_away_ends_with_an_error(tmp_path: Path) -> None:
    workers = Workers(tmp_path, "--join-timeout", "20")
    try:
        workers.start(0)
        workers.start(1)
        workers.wait_for_epoch()
        workers.kill(1)
        assert workers.processes[0].wait(120) == 6
    finally:
        workers.end()
    assert f"1 of 2 workers did not answer within 20 s\n  {workers.addresses[1]}" in workers.log(0)
    assert len(read_history(tmp_path / "machine0" / "run").epochs) >= 1  # --resume goes on from here
