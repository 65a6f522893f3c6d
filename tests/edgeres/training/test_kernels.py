from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edgeres.training.kernels import choose_kernels


@pytest.mark.parametrize(
    ("before", "deterministic", "after"), [(None, False, "1"), (None, True, "0"), ("0", False, "0"), ("1", True, "1")]
)
def test_onednn_is_on_for_speed_and_off_for_repeatability_unless_the_user_has_said(
    before: str | None, deterministic: bool, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", before or "")  # so that it is restored, whatever it was
    if before is None:
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    choose_kernels(deterministic=deterministic, narrow=False)
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == after


GRADIENT = """
from edgeres.training.kernels import choose_kernels
choose_kernels(deterministic=False, narrow=True)
import tensorflow as tf
images, kernel = tf.ones((13, 32, 32, 8)), tf.Variable(tf.ones((1, 1, 8, 24)))
@tf.function
def gradient():
    with tf.GradientTape() as tape:
        outputs = tf.nn.conv2d(images, kernel, 2, "SAME")
    return tape.gradient(outputs, kernel)
for _ in range(50):
    found = gradient()
assert (found.numpy() == 13 * 16 * 16).all()
"""


def test_the_gradient_of_a_narrow_projection_leaves_memory_alone() -> None:
    free = {name: value for name, value in os.environ.items() if "ONEDNN" not in name}
    done = subprocess.run([sys.executable, "-c", GRADIENT], capture_output=True, text=True, check=False, env=free)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(("narrow", "onednn", "kept"), [(True, "1", "AVX2"), (True, "0", None), (False, "1", None)])
def test_a_narrow_network_is_kept_from_avx_512_where_onednn_is_on(
    narrow: bool, onednn: str, kept: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "")  # so that it is restored, whatever it was
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
    choose_kernels(deterministic=False, narrow=narrow)
    assert os.environ.get("ONEDNN_MAX_CPU_ISA") == kept
