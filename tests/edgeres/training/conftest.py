from __future__ import annotations

import pytest

from tests.targets.bundles import write_images

LABELS = ("ant", "bee", "cat")
NETWORK = ("resnet8", "--width", "0.125", "--input-size", "16", "--batch", "16")
"""The smallest network: an epoch of the pictures takes a blink."""


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data source of 60 pictures in three classes."""
    return write_images(tmp_path_factory.mktemp("pictures") / "images", each=20, labels=LABELS)
