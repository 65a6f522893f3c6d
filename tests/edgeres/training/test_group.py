"""What holds of a group of replicas, without a second one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import tensorflow as tf

from edgeres.errors import ConfigError, DataError
from edgeres.training.cluster import Cluster
from edgeres.training.distribution import Group, require_a_share_each
from edgeres.training.shares import Shares


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16, 21])
def test_what_the_chief_gives_travels_in_pieces(size: int) -> None:
    """One process alone, called the first of two: what it adds is the sum."""
    group = Group(tf.distribute.get_strategy(), Cluster(("a:1", "b:1"), 0))
    content = bytes(range(size))
    assert group.from_chief(content, piece=8) == content


@dataclass(frozen=True)
class Several(Group):
    """A group that counts as one of several devices, which nothing here runs on."""

    @property
    def shares(self) -> Shares:
        return Shares(replicas=4, own=4)


@pytest.mark.parametrize(
    ("batch", "images", "error"), [(3, 100, ConfigError), (16, 3, DataError), (16, 4, None), (4, 100, None)]
)
def test_every_device_needs_an_image(batch: int, images: int, error: type[Exception] | None) -> None:
    group = Several(tf.distribute.get_strategy())
    if error is None:
        require_a_share_each(group, batch, images)
        return
    with pytest.raises(error, match="for 4 devices"):
        require_a_share_each(group, batch, images)
