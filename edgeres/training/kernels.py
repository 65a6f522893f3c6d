"""Which of TensorFlow's kernels a training on a CPU uses; to be settled before TensorFlow is imported."""

from __future__ import annotations

import os


def choose_kernels(*, deterministic: bool, narrow: bool) -> None:
    """Switch oneDNN on for a training, off for a deterministic one, unless `TF_ENABLE_ONEDNN_OPTS` says otherwise.

    TensorFlow leaves it off on processors without VNNI, where training can be twice as fast with it. But its sums may
    differ in the last bits from one run to the next on a loaded machine.

    `narrow`: whether a layer may have fewer than 16 channels. oneDNN's AVX-512 kernels (TensorFlow 2.21) then write
    beyond their memory in the gradient of a strided 1x1 convolution, a residual network's projection, where a batch is
    odd: the process dies. Those for AVX2 do not. `ONEDNN_MAX_CPU_ISA` overrules it.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0" if deterministic else "1")
    if narrow and os.environ["TF_ENABLE_ONEDNN_OPTS"] != "0":
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
