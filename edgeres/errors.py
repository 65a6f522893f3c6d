"""Every error a user can cause, and the exit code each one ends a command with.

EdgeresError                 what a user can mend; prints as `error: … / detail / fix: …`
├── OutputError       2      where to write: it exists, cannot be written, is full
├── ConfigError       3      a recipe, a configuration, an option's value
│   └── MissingExtraError    an optional part of the installation is absent
├── DataError         4      images, labels, splits, calibration data
├── ModelError        5      a model file, or its conversion
├── TargetError       6      a runtime or device that cannot run here, or died while it ran
├── GateError         7      a gate is missed, or its measurement is inconclusive
└── ArtifactError     8      a bundle, result or .tflite that is corrupt or fails verification

Exit code 1 is a bug (with its traceback), 2 also a wrong command line, 130 an interruption.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Iterable
from types import ModuleType


class EdgeresError(Exception):
    """Something that the user can mend: what was expected, what was found, what to do.

    `details` are further lines (the first offending file, the accepted values); `fix` is the next action.
    """

    exit_code = 1

    def __init__(self, message: str, *, details: Iterable[str] = (), fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.message, *(f"  {detail}" for detail in self.details)]
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class OutputError(EdgeresError):
    """The place to write to exists already, cannot be written, or is full."""

    exit_code = 2


class ConfigError(EdgeresError):
    """A recipe, configuration or option value that does not fit its schema."""

    exit_code = 3


class MissingExtraError(ConfigError):
    """An optional part of the installation that this command needs is absent."""


class DataError(EdgeresError):
    """Images, labels or splits that cannot be used as they are."""

    exit_code = 4


class ModelError(EdgeresError):
    """A model file that cannot be opened safely, or a conversion that cannot be done."""

    exit_code = 5


class TargetError(EdgeresError):
    """A runtime or device that is unavailable, or that died while it ran."""

    exit_code = 6


class GateError(EdgeresError):
    """A gate that was missed, or whose measurement is inconclusive."""

    exit_code = 7


class ArtifactError(EdgeresError):
    """A bundle, result or flatbuffer that is corrupt or fails verification."""

    exit_code = 8


def suggestion(name: str, known: Iterable[str]) -> str:
    """The sentence that helps after a misspelt name: the nearest match, or the whole list."""
    choices = sorted(known)
    nearest = difflib.get_close_matches(name, choices, n=1)
    return f"did you mean '{nearest[0]}'?" if nearest else f"choose from: {', '.join(choices)}"


def require_installed(package: str, *, extra: str, purpose: str) -> None:
    """Check that an optional dependency is there, without importing it: TensorFlow takes seconds.

    Raises:
        MissingExtraError: it is not; names the extra that brings it.
    """
    if importlib.util.find_spec(package) is None:
        raise _missing(package, extra, purpose)


def _missing(package: str, extra: str, purpose: str) -> MissingExtraError:
    return MissingExtraError(
        f"{purpose} needs the package '{package}', which is not installed", fix=f"pip install 'edgeres[{extra}]'"
    )


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency.

    Raises:
        MissingExtraError: it is not installed; names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise _missing(error.name, extra, purpose) from error
