"""From what a user says to what is trained: MODEL and the options of `edgeres train` as a `Plan`.

`Wanted.check` refuses what can be refused at once, without TensorFlow; `plan` opens models and data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeres.contracts import contract_for
from edgeres.data import Dataset, require_same_splits
from edgeres.errors import ConfigError
from edgeres.keras_file import SUFFIXES, KerasFile, is_saved_model, read_keras_file
from edgeres.models import is_network, require_network
from edgeres.preprocess import Preprocess, from_option, resized
from edgeres.registry import resolve
from edgeres.training.effects import require_effects, require_teacher
from edgeres.training.run import model_of
from edgeres.training.settings import TrainingSettings, read_mapping, typed_settings, with_overrides

if TYPE_CHECKING:
    from edgeres.models.pretrained import Weights
    from edgeres.training.subject import Subject
    from edgeres.training.train import Plan

# By name, for each of them takes TensorFlow.
_NETWORK, _WEIGHTS = "edgeres.models:find_network", "edgeres.models.pretrained:read_weights"
_ZOO, _OWN = "edgeres.training.subject:ZooNetwork", "edgeres.training.subject:OwnModel"
_TEACHER, _PLAN = "edgeres.training.distillation:open_teacher", "edgeres.training.train:Plan"


def settings_of(config: Path | None, overrides: Iterable[str], flags: Mapping[str, Any]) -> TrainingSettings:
    """The settings of a file, `--set key=value` laid over them, and flags (None where not given) over both.

    Raises:
        ConfigError: a file that cannot be read, an unknown setting, a value out of range, or one without effect.
    """
    values = with_overrides(read_mapping(config) if config else {}, overrides)
    values |= {name: value for name, value in flags.items() if value is not None}
    where = str(config) if config else "training settings"
    settings = typed_settings(values, where=where)
    require_effects(settings, where=where)
    return settings


@dataclass(frozen=True)
class Wanted:
    """What to train, in a user's words: `model` is a network of the zoo, or a path; the rest are the options."""

    model: str
    width: float | None = None
    input_size: int | None = None
    preprocess: str | None = None
    weights: str | None = None
    teacher: Path | None = None
    trust: bool = False

    @property
    def own(self) -> bool:
        """Whether it is a model of the user's own."""
        return not is_network(self.model)

    @property
    def narrow(self) -> bool:
        """Whether it may have layers of fewer than 16 channels; networks of the zoo have none at their full width."""
        return self.own or (self.width or 1) < 1

    def check(self, settings: TrainingSettings) -> None:
        """Refuse what cannot be, without TensorFlow.

        Raises:
            ConfigError: neither a network of the zoo nor a path; an option that a model of one's own does not take; a
            file whose preprocessing is not known; settings of a teacher without one.
            ModelError: not a Keras file, or one that would run code.
        """
        require_teacher(settings, self.teacher)
        if not self.own:
            return
        path = Path(self.model)
        if not _exists(path):
            if path.suffix not in SUFFIXES and path.name == self.model:
                require_network(self.model)
            raise ConfigError(
                f"{self.model} is neither a network of the zoo nor an existing file",
                fix="give a name that `edgeres models` lists, or the path of a .keras or .h5 file",
            )
        given = {"--width": self.width, "--input-size": self.input_size, "--weights": self.weights}
        for flag, value in given.items():
            if value is not None:
                raise ConfigError(
                    f"{flag} {value} is for networks of the zoo; {path} has its size and weights",
                    fix=f"leave out {flag}",
                )
        if is_saved_model(path):
            raise ConfigError(
                f"{path} is a SavedModel: a graph of operators, without layers to train",
                fix="save the model as .keras with model.save(path)",
            )
        contract_for(self._file(), self.preprocess)

    def plan(self, dataset: Dataset, settings: TrainingSettings) -> Plan:
        """What `train` takes; to be called once the devices are taken.

        Raises:
            ConfigError: a width, input size or preprocessing that does not fit.
            ModelError: a file that cannot be opened, or weights of another network.
            DataError: a teacher of other classes; a model whose training images would be measured.
        """
        subject, contract = self._own(dataset) if self.own else self._of_the_zoo()
        teacher = None
        if self.teacher:
            option = settings.distill.preprocess
            teacher = resolve(_TEACHER)(self.teacher, dataset, contract, option, trust=self.trust)
        planned: Plan = resolve(_PLAN)(subject, dataset, contract, settings, teacher)
        return planned

    def _file(self) -> KerasFile:
        return read_keras_file(model_of(Path(self.model)), trust=self.trust)

    def _own(self, dataset: Dataset) -> tuple[Subject, Preprocess]:
        file = self._file()
        contract = contract_for(file, self.preprocess)
        if file.card is not None:
            require_same_splits(file.card.origin, dataset, where=str(file.path))
        return resolve(_OWN).opened(file), contract

    def _of_the_zoo(self) -> tuple[Subject, Preprocess]:
        network = resolve(_NETWORK)(self.model)
        size = network.input_size if self.input_size is None else self.input_size
        start: Weights | None = None
        if self.weights:
            start = resolve(_WEIGHTS)(network, self.weights, trust=self.trust)
        if self.preprocess is None and start is not None and start.contract is not None:
            contract = resized(start.contract, height=size, width=size)
        else:
            contract = from_option(self.preprocess or network.preprocess, height=size, width=size)
        return resolve(_ZOO)(network, 1.0 if self.width is None else self.width, start), contract


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long for any file
        return False
