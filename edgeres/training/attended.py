"""A training that a person follows in a terminal, and that begins again by itself where another worker was lost."""

from __future__ import annotations

from pathlib import Path

from edgeres.training.cluster import PeerLostError
from edgeres.training.distribution import Group
from edgeres.training.progress import EpochLines
from edgeres.training.restart import restart
from edgeres.training.run import History
from edgeres.training.train import Plan, train


def train_attended(plan: Plan, out: Path, *, resume: bool, group: Group) -> History:
    """`train`, with a line for each epoch on stderr.

    Raises:
        PeerLostError: another worker was lost, more often than this process starts again.
    """
    try:
        with EpochLines(plan.settings.epochs) as lines:
            return train(plan, out, resume=resume, group=group, progress=lines, live=lines.within)
    except PeerLostError as lost:
        restart(lost)
        raise
