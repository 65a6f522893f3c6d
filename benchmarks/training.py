"""Does the input pipeline keep up, and what does oneDNN bring? python -m benchmarks.training [--steps 20] [--rounds 6]

Trains ResNet-20 on images of CIFAR's size in three ways, one after the other in every round: `edgeres train`'s own
loop and feed; the same loop over batches that lie in memory ready-made; and a plain `model.fit` on the same arrays.
With `--onednn`, also the rate with TF_ENABLE_ONEDNN_OPTS on and off, each in processes of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE, CLASSES, BATCH = 32, 10, 128


@dataclass(frozen=True)
class Noise:
    """Random images, held as pixels."""

    pixels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Pixels: uint8 (32, 32, 3)."""
        return self.pixels[index]

    def name(self, index: int) -> str:
        """`noise[17]`."""
        return f"noise[{index}]"


def ways(network: str, steps: int) -> dict[str, Callable[[], Any]]:
    """What is compared, by name: each call trains `steps` steps."""
    import tensorflow as tf
    import tf_keras as keras

    from edgeres.data import Dataset, Split
    from edgeres.models import find_network
    from edgeres.preprocess import Preprocess
    from edgeres.training.distribution import Group
    from edgeres.training.feeds import Feeds
    from edgeres.training.loop import Loop
    from edgeres.training.loss import Objective
    from edgeres.training.settings import TrainingSettings
    from edgeres.training.state import new_state
    from edgeres.training.step import Step

    random, count = np.random.default_rng(0), BATCH * steps
    images = Noise(random.integers(0, 256, (count, SIDE, SIDE, 3), np.uint8))
    classes = random.integers(0, CLASSES, count)
    split = Split("train", images, np.arange(count), classes)
    dataset = Dataset("noise", tuple(map(str, range(CLASSES))), {"train": split}, mirror=True, seed=0)
    settings = TrainingSettings(epochs=1000, batch=BATCH, learning_rate=0.01)
    group = Group(tf.distribute.get_strategy())
    feeds = Feeds(dataset, Preprocess(SIDE, SIDE), settings, group.shares)
    state = new_state(find_network(network).build(), settings, steps=steps)
    loop = Loop(group)
    step = Step(state.model, state.optimizer, Objective(0.0, None))
    stepping = loop.stepping(step, state.model, None)
    ready = tf.data.Dataset.from_tensor_slices(tuple(map(tf.stack, zip(*feeds.training(0).take(steps), strict=True))))
    plain = find_network(network).build()
    plain.compile(
        keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    arrays = images.pixels.astype(np.float32)

    def run(feed: Callable[[], Any]) -> None:
        loop.train(feed(), stepping, steps=steps, told=lambda *_: None)

    return {
        "feed": lambda: run(lambda: feeds.training(1)),
        "in memory": lambda: run(lambda: ready),
        "model.fit": lambda: plain.fit(arrays, classes, batch_size=BATCH, verbose=0),
    }


def interleaved(found: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round, in an order that turns from round to round; the first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in found}
    names = list(found)
    for number in range(-1, rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            started = time.perf_counter()
            found[name]()
            if number >= 0:
                seconds[name].append(time.perf_counter() - started)
        if number >= 0:
            print(", ".join(f"{name} {taken[-1]:.2f} s" for name, taken in seconds.items()), flush=True)
    return seconds


def onednn(options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """A process with and one without; each prints the seconds of its steps once it is warm."""

    def child(value: str) -> float:
        command = [sys.executable, "-m", "benchmarks.training", "--child", "--steps", str(options.steps)]
        environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": value, "TF_CPP_MIN_LOG_LEVEL": "3"}
        said = subprocess.run(
            [*command, "--network", options.network], env=environment, check=True, capture_output=True, text=True
        )
        return float(said.stdout.split()[-1])

    return {"off": lambda: child("0"), "on": lambda: child("1")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="resnet20")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--onednn", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as the command sets it
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if options.child:
        only = {"feed": ways(options.network, options.steps)["feed"]}
        print(interleaved(only, 1)["feed"][0])
        return
    measure(options)


def measure(options: argparse.Namespace) -> None:
    """Every comparison, printed and written."""
    from benchmarks.paired import save
    from targets.stats import median_ratio

    def ratio(slow: list[float], fast: list[float], words: str) -> Any:
        found = median_ratio(np.log(np.array(slow) / np.array(fast)))
        print(f"{words}: {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")
        return {"value": found.value, "low": found.low, "high": found.high, "level": found.level, "n": found.n}

    seconds = interleaved(ways(options.network, options.steps), options.rounds)
    figures: dict[str, Any] = {"network": options.network, "batch": BATCH, "steps": options.steps, "seconds": seconds}
    figures["rate_against_in_memory"] = ratio(
        seconds["in memory"], seconds["feed"], "rate of the feed ÷ rate with batches in memory"
    )
    figures["rate_against_fit"] = ratio(seconds["model.fit"], seconds["feed"], "rate of the feed ÷ rate of model.fit")
    if options.onednn:
        pairs: dict[str, list[float]] = {"off": [], "on": []}
        for number in range(options.rounds):
            found = onednn(options)
            for name in ("off", "on") if number % 2 else ("on", "off"):
                pairs[name].append(found[name]())
        figures["onednn_seconds"] = pairs
        figures["onednn_speedup"] = ratio(pairs["off"], pairs["on"], "rate with oneDNN ÷ rate without")
    save("training", figures)


if __name__ == "__main__":
    main()
