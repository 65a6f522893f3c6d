from __future__ import annotations

from typing import Any

import pytest

from edgeres.models import Network
from tests.targets.bundles import write_images

LABELS = ("ant", "bee", "cat")
NETWORK = ("resnet8", "--width", "0.125", "--input-size", "16", "--batch", "16")
"""The smallest network of the zoo: an epoch of the pictures takes a blink."""


def _few_layers(*, width: int, classes: int, input_size: int, name: str) -> Any:
    import tf_keras as keras

    from edgeres.models.blocks import classifier, conv_bn, relu

    inputs = keras.Input((input_size, input_size, 3), name="image")
    x = relu(conv_bn(inputs, width, 3, name="stem"), name="stem_relu")
    x = relu(conv_bn(x, 2 * width, 3, stride=2, name="body"), name="body_relu")
    return keras.Model(inputs, classifier(x, classes), name=name)


TINY = Network("tiny", _few_layers, width=32, classes=10, input_size=32, paper="")
"""Two convolutions, for what holds of every network: tracing a graph is what a short training costs."""


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data source of 60 pictures in three classes."""
    return write_images(tmp_path_factory.mktemp("pictures") / "images", each=20, labels=LABELS)
