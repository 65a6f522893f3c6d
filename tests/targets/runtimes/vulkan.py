"""A Vulkan driver for tests: the machine's own, or SwiftShader where Debian's Chromium has brought it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from targets.runtimes.gpu import GPU

SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")


@contextmanager
def vulkan() -> Iterator[None]:
    """Skips where there is neither."""
    with pytest.MonkeyPatch.context() as patch:
        if not GPU.check().available and SWIFTSHADER.is_file():
            patch.setenv("VK_DRIVER_FILES", str(SWIFTSHADER))
        found = GPU.check()
        if not found.available:
            pytest.skip(f"gpu: {found.why} ({found.fix})")
        yield
