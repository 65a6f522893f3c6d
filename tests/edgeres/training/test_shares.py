from __future__ import annotations

import pytest

from edgeres.training.shares import Shares

Part = tuple[int, int, int, int]


def dealt(shares: Shares, images: int, batch: int) -> list[Part]:
    return [tuple(map(int, part)) for part in shares.deal(images, batch).as_numpy_iterator()]


def test_one_replica_has_every_batch() -> None:
    assert dealt(Shares(), 7, 3) == [(0, 0, 0, 3), (1, 0, 3, 6), (2, 0, 6, 7)]


@pytest.mark.parametrize(("images", "batch", "replicas"), [(12, 4, 2), (13, 4, 2), (10, 5, 3), (1, 8, 4), (9, 9, 4)])
def test_the_replicas_of_all_processes_have_every_image_once(images: int, batch: int, replicas: int) -> None:
    parts = [part for first in range(replicas) for part in dealt(Shares(replicas, first, 1), images, batch)]
    assert sorted(image for _, _, start, end in parts for image in range(start, end)) == list(range(images))
    for step, _, start, end in parts:
        assert batch * step <= start <= end <= batch * (step + 1)
        assert end - start in {(min(batch, images - batch * step) + extra) // replicas for extra in range(replicas)}


def test_a_process_with_several_replicas_has_their_parts_in_turn() -> None:
    assert dealt(Shares(4, 2, 2), 8, 4) == [(0, 2, 2, 3), (0, 3, 3, 4), (1, 2, 6, 7), (1, 3, 7, 8)]


@pytest.mark.parametrize(("images", "replicas", "steps"), [(8, 1, 2), (9, 1, 3), (9, 2, 2), (10, 2, 3), (0, 1, 0)])
def test_a_last_batch_without_an_image_for_every_replica_is_no_step(images: int, replicas: int, steps: int) -> None:
    assert Shares(replicas).steps(images, 4) == steps
