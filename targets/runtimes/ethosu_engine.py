"""The engine in the child for Arm's compiler Vela: one model for one Ethos-U, and what the compiler reports of it."""

from __future__ import annotations

import csv
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeres.errors import TargetError
from targets.worker import Answer


class Engine:
    """The compiler, run by its command line's function in this process."""

    def __init__(self) -> None:
        try:
            self._vela = importlib.import_module("ethosu.vela.vela")
        except (ImportError, OSError) as error:
            raise TargetError(f"Vela cannot be loaded: {error}", fix="pip install 'edgeres[ethosu]'") from error

    def compile(self, model: bytes, *, accelerator: str, folder: str, options: dict[str, str]) -> Answer:
        """Compile a model in an empty folder of the caller's; `options`: further ones of Vela's command line.

        Returns the rows of the compiler's two tables as texts by their heads (`summary`: one, `layers`: one for each
        operator that it made), the lines that it wrote, and the compiled file.
        """
        place = Path(folder)
        (place / "model.tflite").write_bytes(model)
        arguments = [str(place / "model.tflite"), "--output-dir", folder, "--accelerator-config", accelerator]
        arguments += [f"--{name}={value}" for name, value in options.items()]
        try:
            with _written_to(place / "words"):
                code = self._vela.main([*arguments, "--verbose-performance"])
        except self._vela.VelaError as error:
            fix = f"see: vela --list-configs {options.get('config', 'Arm/vela.ini')}"
            raise TargetError(f"Vela refuses: {error.error_msg}", fix=fix) from error
        lines = (place / "words").read_text(encoding="utf-8", errors="replace").splitlines()
        if code:
            raise TargetError(f"Vela failed with code {code}", details=lines[-20:])
        (summary,), layers = (_rows(place, pattern) for pattern in ("model_summary_*.csv", "model_per-layer.csv"))
        compiled = (place / "model_vela.tflite").read_bytes()
        return {"summary": summary, "layers": layers, "lines": lines}, (compiled,)


def _rows(place: Path, pattern: str) -> list[dict[str, str]]:
    (path,) = place.glob(pattern)
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        return list(csv.DictReader(stream))


@contextmanager
def _written_to(path: Path) -> Iterator[None]:
    """Both outputs of this process, those of native code too, go into a file."""
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    with path.open("wb") as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)
        try:
            yield
        finally:
            for descriptor, before in zip((1, 2), kept, strict=True):
                os.dup2(before, descriptor)
                os.close(before)
