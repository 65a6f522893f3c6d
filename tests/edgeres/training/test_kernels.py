from __future__ import annotations

import os

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
    choose_kernels(deterministic=deterministic)
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == after
