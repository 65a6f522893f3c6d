"""`evaluate` without the command line: the accuracy of artifacts on a data set, as a result."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from functools import partial

from edgeres.data.dataset import Dataset, Split
from edgeres.data.origin import require_same_splits
from edgeres.errors import ConfigError, EdgeresError
from edgeres.native_output import resolve_muted
from edgeres.preprocess import Preprocess
from edgeres.progress import Progress, silent
from edgeres.results import ArtifactResult, DataRecord, Parity, Result
from targets import accuracy
from targets.artifact import Artifact
from targets.catalogue import available_target
from targets.crew import open_sessions, sessions_each
from targets.devices import fleet
from targets.environment import describe
from targets.loading import Loader
from targets.proof import prove
from targets.refusals import Places, unless_refused
from targets.row import row
from targets.runtimes.cpu import CPU
from targets.target import Target

_KERAS_PARITY = "converters.parity:keras_parity"
"""`(artifact, split, columns) -> Parity` of a Keras file, in the layer above: a device has neither."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What is measured: on which target, on the first `images` of which split, within which margin of the baseline.

    `parity`: whether the flatbuffer of a Keras file is held against Keras itself.
    `devices`: those on which the target is, by name or URL; none for this machine.
    """

    target: str = "cpu"
    devices: tuple[str, ...] = ()
    split: str = "test"
    images: int | None = None
    margin_points: float = 1.0
    parity: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.margin_points <= 100:  # also where it is NaN
            problem = f"the margin must be in 0…100 points, found {self.margin_points}"
            raise ConfigError(problem, fix="give another --margin")


def evaluate(
    artifacts: Sequence[Artifact],
    dataset: Dataset,
    *,
    baseline: int | None = None,
    plan: Evaluation | None = None,
    progress: Progress = silent,
) -> Result:
    """Measure the accuracy of every artifact; `baseline` is the place of the one that the others are compared with.

    Of one thread each, as many sessions run side by side as keep the cores busy: neither changes the numbers.

    Raises:
        EdgeresError: see `targets.accuracy.measure`, `targets.accuracy.entrant`, `targets.catalogue`.
    """
    plan, environment = plan or Evaluation(), describe()
    names = fleet.placed((plan.target,), plan.devices)
    fleet.require_targets(names)
    split = dataset.split(plan.split, images=plan.images)
    contracts = [artifact.require_preprocess() for artifact in artifacts]
    if baseline is not None:
        _warn_of_contracts(artifacts, contracts, baseline)
    for artifact in artifacts:
        require_same_splits(artifact.origin, dataset, where=artifact.path)
        accuracy.output_order(artifact.path, artifact.labels, dataset)
    records: list[DataRecord] = []

    def measure(name: str) -> list[ArtifactResult]:
        target, told = available_target(name), fleet.stage(progress, name)

        def some(places: Places, base: int | None) -> list[ArtifactResult]:
            chosen = [artifacts[place] for place in places]
            entered = _Entered(target, chosen, [contracts[place] for place in places], split, dataset, plan.parity)
            return _evaluate_on(entered, base, plan.margin_points, records, told)

        run = partial(unless_refused, target, artifacts, some, baseline=baseline, only=len(names) == 1)
        return fleet.on_device(target, run)

    def failed(name: str, error: EdgeresError) -> list[ArtifactResult]:
        rows = [row(name, artifact, baseline=place == baseline) for place, artifact in enumerate(artifacts)]
        return fleet.failed_rows(rows, error)

    found = fleet.spread(names, measure, failed)
    rows = tuple(row for rows in found for row in rows)
    return Result(environment=environment, data=records[0] if records else None, artifacts=rows)


@dataclass(frozen=True)
class _Entered:
    """Artifacts with their contracts on one target, and the images that they are to see."""

    target: Target
    artifacts: Sequence[Artifact]
    contracts: Sequence[Preprocess]
    split: Split
    dataset: Dataset
    parity: bool


def _evaluate_on(
    entered: _Entered, baseline: int | None, margin_points: float, records: list[DataRecord], progress: Progress
) -> list[ArtifactResult]:
    """The rows of one target; the record of the images is appended to `records`."""
    target, artifacts, dataset = entered.target, entered.artifacts, entered.dataset
    count = sessions_each(target, artifacts, images=len(entered.split))
    with ExitStack() as stack:
        loader = stack.enter_context(Loader(entered.split, entered.contracts, takers=count))
        crews = open_sessions(artifacts, target, count, stack)
        entrants = [
            accuracy.entrant(artifact.path, *crew, preprocess=contract, labels=artifact.labels, dataset=dataset)
            for artifact, contract, crew in zip(artifacts, entered.contracts, crews, strict=True)
        ]
        measured, record = accuracy.measure(
            entrants, loader, dataset, baseline=baseline, margin_points=margin_points, progress=progress
        )
        first = [one.sessions[0] for one in entrants]
        proofs = [
            # On every core 500 images of a ResNet-50 take 22 s, one on the reference kernels 3 s.
            None if target == CPU else prove(artifact, session, target)
            for artifact, session in zip(artifacts, first, strict=True)
        ]
        operators = [session.operators() for session in first]
        parities = [
            _parity(artifact, one, entered.split) if entered.parity else None
            for artifact, one in zip(artifacts, entrants, strict=True)
        ]
    records.append(record)
    return [
        replace(
            row(target.name, artifact, baseline=place == baseline),
            accuracy=figures,
            operators=ran,
            proof=proof,
            parity=parity,
        )
        for place, (artifact, figures, ran, proof, parity) in enumerate(
            zip(artifacts, measured, operators, proofs, parities, strict=True)
        )
    ]


def _parity(artifact: Artifact, entrant: accuracy.Entrant, split: Split) -> Parity | None:
    """Of a Keras file, which is measured as a flatbuffer: whether that is what Keras computes."""
    if artifact.kind != "keras":
        return None
    found: Parity = resolve_muted(_KERAS_PARITY)(artifact, split, entrant.columns)
    return found


def _warn_of_contracts(artifacts: Sequence[Artifact], contracts: Sequence[Preprocess], baseline: int) -> None:
    """Two networks may well be preprocessed otherwise; two forms of one may not, and nothing else would show it."""
    theirs = contracts[baseline]
    for artifact, own in zip(artifacts, contracts, strict=True):
        differing = [field.name for field in fields(own) if getattr(own, field.name) != getattr(theirs, field.name)]
        if differing:
            _log.warning(
                "%s is preprocessed otherwise than the baseline %s (%s): the drop is that of model and preprocessing",
                artifact.path,
                artifacts[baseline].path,
                ", ".join(differing),
            )
