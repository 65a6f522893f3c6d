"""What a model was trained on, so that it is never measured on images that it has seen."""

from __future__ import annotations

from dataclasses import dataclass

from edgeres.data.dataset import Dataset
from edgeres.errors import DataError


@dataclass(frozen=True)
class Origin:
    """The data source of a training, and the seed that dealt its splits."""

    source: str
    split_seed: int


def require_same_splits(origin: Origin | None, dataset: Dataset, *, where: str) -> None:
    """Refuse other splits of the kind of data that a model was trained on: its training images would be among them.

    Raises:
        DataError: the seeds differ.
    """
    if origin is None or origin.source.partition(":")[0] != dataset.source.partition(":")[0]:
        return
    if origin.split_seed != dataset.seed:
        raise DataError(
            f"{where} was trained on splits of {origin.source} dealt by seed {origin.split_seed}, "
            f"these are dealt by seed {dataset.seed}: images it was trained on would be among them",
            fix=f"--split-seed {origin.split_seed}",
        )
