"""What a recipe is run on: a model file, a data set, and the contract between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from converters.quantization.calibration import require_disjoint, stratified
from converters.steps import Material
from edgeres.data import Dataset, Split, require_same_splits
from edgeres.errors import DataError
from edgeres.keras_file import KerasFile
from edgeres.preprocess import Preprocess
from edgeres.progress import Progress, silent


@dataclass(frozen=True)
class Job:
    """A model and the data it is converted with. `seed`: of fine-tuning; `progress`: told of every long step."""

    file: KerasFile
    dataset: Dataset
    contract: Preprocess
    seed: int = 0
    progress: Progress = silent

    @cached_property
    def disjoint_calibration(self) -> Split:
        """The calibration split in stratified order, once it is checked that no image of it is in the test split.

        Raises:
            DataError: it is; names the first.
        """
        split = self.dataset.split("calibration")
        require_disjoint(split, self.dataset.split("test"))
        return stratified(split)

    def calibration(self, images: int | None) -> Split:
        """The first `images` of the calibration split: the classes in its proportion, as well as so many can."""
        return self.disjoint_calibration.head(images)

    def fingerprint(self, wanted: Material) -> str:
        """SHA-256 of the images that a step reads, computed once: a training split may be gigabytes."""
        if wanted not in self._fingerprints:
            split = self.calibration(wanted.images) if wanted.split == "calibration" else self.dataset.split("train")
            self._fingerprints[wanted] = split.fingerprint()
        return self._fingerprints[wanted]

    @cached_property
    def _fingerprints(self) -> dict[Material, str]:
        return {}


def require_fitting(file: KerasFile, dataset: Dataset) -> None:
    """Check a card's labels (names and order) and splits against the data set's.

    Raises:
        DataError: they differ.
    """
    if file.card is None:
        return
    require_same_splits(file.card.origin, dataset, where=str(file.path))
    if file.card.labels != dataset.labels:
        raise DataError(
            f"{file.path} was trained on other classes than {dataset.source} has",
            details=(
                f"model: {len(file.card.labels)}: {', '.join(file.card.labels[:10])}",
                f"data:  {len(dataset.labels)}: {', '.join(dataset.labels[:10])}",
            ),
            fix="convert with the data set that the model was trained on",
        )


def require_classes(found: int, job: Job) -> None:
    """Check a model's number of outputs against the data set's number of classes.

    Raises:
        DataError: they differ.
    """
    if found != len(job.dataset.labels):
        raise DataError(
            f"{job.file.path} has {found} outputs, {job.dataset.source} has {len(job.dataset.labels)} classes",
            fix="give the data set that the model was trained on",
        )
