"""The versions of everything that shapes a model, without importing any of it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from edgeres import __version__

_PACKAGES = (
    "numpy",
    "pillow",
    "tensorflow",
    "tf-keras",
    "keras",
    "tensorflow-model-optimization",
    "litert-quantizer",
    "ai-edge-litert",
    "tflite-runtime",
)


def versions() -> dict[str, str]:
    """Package name to version, of those that are installed, with Python's and edgeres' own."""
    found = {"edgeres": __version__, "python": platform.python_version()}
    found |= {package: installed for package in _PACKAGES if (installed := _installed(package))}
    return found


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
