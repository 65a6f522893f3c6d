"""What is trained: a network of the zoo at a width, or a Keras model of one's own.

A subject is known before anything is built. It is built once, under the scope of the devices, as a float32 network from
images to logits; what is left when the training ends goes back through it, for a model of one's own keeps its softmax.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from edgeres.data import Dataset
from edgeres.errors import ConfigError, ModelError
from edgeres.keras_file import KerasFile
from edgeres.keras_io import load, prunable
from edgeres.models import Network
from edgeres.models.pretrained import Weights, put_weights
from edgeres.preprocess import Preprocess
from edgeres.rebuild.model import left_out
from edgeres.training.head import finished, for_classes
from edgeres.training.identity import source_of_file, source_of_model

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Built:
    """A float32 tf_keras `model`, (n, h, w, c) to logits (n, classes); `new_layers` begin with random weights."""

    model: Any
    new_layers: tuple[str, ...] = ()


class Subject(Protocol):
    """What a training needs to know of what it trains."""

    @property
    def name(self) -> str:
        """What the network is called."""

    @property
    def width(self) -> float:
        """The multiplier of a zoo network's feature maps; 1 for any other."""

    @property
    def zoo(self) -> bool:
        """Whether name, width and classes say all of how it is built."""

    @property
    def source(self) -> str | None:
        """The model that it is, with its SHA-256; None where the zoo builds it."""

    @property
    def weights(self) -> str | None:
        """The file of weights that it begins with, with its SHA-256; None where it brings none, or its own."""

    @property
    def trained(self) -> bool:
        """Whether it begins with trained weights."""

    def build(self, dataset: Dataset, contract: Preprocess) -> Built:
        """The network for a data set's classes and a contract's inputs; to be called in the scope of the strategy.

        Raises:
            ConfigError: a width, class count or input size that does not fit.
            ModelError: weights that do not fit; a model that cannot be trained.
        """

    def finished(self, model: Any) -> Any:
        """What is written of a trained network: one that ends as the subject did."""


@dataclass(frozen=True)
class ZooNetwork:
    """A network of the zoo, which begins with `start` where it is given, else with random weights."""

    network: Network
    width: float = 1.0
    start: Weights | None = None

    @property
    def name(self) -> str:
        """Of the network."""
        return self.network.name

    @property
    def zoo(self) -> bool:
        """It is."""
        return True

    @property
    def source(self) -> None:
        """None: the zoo builds it."""
        return

    @property
    def weights(self) -> str | None:
        """The file that it begins with."""
        return None if self.start is None else f"{self.start.source} ({self.start.sha256})"

    @property
    def trained(self) -> bool:
        """Whether it begins with a file."""
        return self.start is not None

    def build(self, dataset: Dataset, contract: Preprocess) -> Built:
        """See `Network.build` and `put_weights`."""
        model = self.network.build(width=self.width, classes=len(dataset.labels), input_size=contract.height)
        return Built(model, put_weights(model, self.start).new_layers if self.start else ())

    def finished(self, model: Any) -> Any:
        """As it is: the zoo's networks end in logits."""
        return model


@dataclass(frozen=True)
class OwnModel:
    """A flat tf_keras model of the user's own, which stays as it is: what is trained is a copy.

    To be made by `of` or `opened`. `source` says which model it is, with a SHA-256.
    """

    model: Any
    source: str

    @classmethod
    def of(cls, model: Any) -> OwnModel:
        """A tf_keras model in memory, known by its name and the SHA-256 of its configuration and weights.

        Raises:
            ModelError: a layer in it has no counterpart in a flat tf_keras model, by name.
        """
        return cls(_flat(model, generation=2, where=f"the model {model.name}"), source_of_model(model))

    @classmethod
    def opened(cls, file: KerasFile) -> OwnModel:
        """A Keras file of either generation, proved equal to its tf_keras counterpart; its `source` is the file.

        Raises:
            ModelError: Keras cannot load it, or a layer has no counterpart in tf_keras.
        """
        return cls(_flat(load(file), generation=file.generation, where=str(file.path)), source_of_file(file))

    @property
    def name(self) -> str:
        """The model's own."""
        return str(self.model.name)

    @property
    def width(self) -> float:
        """1."""
        return 1.0

    @property
    def zoo(self) -> bool:
        """It is not."""
        return False

    @property
    def weights(self) -> None:
        """None: the model brings its own."""
        return

    @property
    def trained(self) -> bool:
        """It counts as trained: nobody brings a model for its random weights."""
        return True

    def build(self, dataset: Dataset, contract: Preprocess) -> Built:
        """A copy without its softmax; for another number of classes with a new last layer, see `for_classes`."""
        expected = tuple(self.model.input_shape[1:])
        if contract.shape != expected:
            raise ConfigError(
                f"the preprocessing makes inputs of {contract.shape}, {self.name} takes {expected}",
                fix="give it the preprocessing that it was trained with",
            )
        built = Built(*for_classes(self.model, len(dataset.labels)))
        if not built.model.trainable_variables:
            raise ModelError(
                f"{self.name} cannot be trained: all its layers are frozen",
                fix="set `model.trainable = True` and save it again",
            )
        return built

    def finished(self, model: Any) -> Any:
        """With its softmax, where it had one."""
        return finished(model, self.model)


def _flat(model: Any, *, generation: int, where: str) -> Any:
    """The model as a flat graph of tf_keras layers, from one image to one row of scores."""
    found = prunable(model, generation=generation)
    if found.model not in (None, model) and (lost := left_out(model)):
        _LOG.warning("%s is trained without %s, which tf_keras has no counterpart for", where, ", ".join(lost))
    why = found.why
    if found.model is not None:
        why = _objection(found.model)
    if why is not None:
        raise ModelError(f"{where} cannot be trained: {why}", fix="train a network of the zoo (edgeres models)")
    return found.model


def _objection(model: Any) -> str | None:
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        return "it is not a graph of layers"
    image, scores = model.input_shape, model.output_shape
    if not (isinstance(image, tuple) and len(image) == 4 and None not in image[1:]):
        return f"expected one input (N, height, width, channels) of fixed size, found {image}"
    if not (isinstance(scores, tuple) and len(scores) == 2):
        return f"expected one output (N, classes), found {scores}"
    return None
