"""Which of TensorFlow's kernels a training on a CPU uses; to be settled before TensorFlow is imported."""

from __future__ import annotations

import os


def choose_kernels(*, deterministic: bool) -> None:
    """Switch oneDNN on for a training, off for a deterministic one, unless `TF_ENABLE_ONEDNN_OPTS` says otherwise.

    TensorFlow leaves it off on processors without VNNI, where training can be twice as fast with it. But its sums may
    differ in the last bits from one run to the next on a loaded machine.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0" if deterministic else "1")
