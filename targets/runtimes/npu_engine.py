"""The engines in the child for NPUs: LiteRT's compiler for vendors' chips, and OpenVINO on its CPU backend."""

from __future__ import annotations

import importlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from edgeres.errors import TargetError
from targets.runtimes.compiled_engine import CompiledEngine
from targets.runtimes.refusal import refusal
from targets.worker import Answer

_ISA = "ONEDNN_MAX_CPU_ISA"
_NO_BF16 = "AVX512_CORE_VNNI"
"""The newest instructions of x86 that oneDNN may use and that have no bfloat16: else OpenVINO rounds float32 to it."""

_PARTITIONS = re.compile(r"Partitioned subgraph<\d+>, selected (\d+) ops, from a total of (\d+) ops. resulted in (\d+)")


class Engine(CompiledEngine):
    """One model on OpenVINO's CPU backend, through the dispatch of LiteRT's NPU accelerator."""

    def __init__(self) -> None:
        os.environ.setdefault(_ISA, _NO_BF16)
        super().__init__()

    def options(self) -> Any:
        """The NPU accelerator alone, with its graphs on OpenVINO's CPU backend."""
        own = self._api.IntelOpenVinoOptions
        return self._api.Options(
            hardware_accelerators=self._api.HardwareAccelerator.NPU,
            intel_openvino_options=own(graph_backend=own.GRAPH_BACKEND.CPU),
        )


class Compiler:
    """LiteRT's compiler for NPUs (`ai_edge_litert.aot`), which runs a vendor's plugin in a process of its own."""

    def compile(self, model: bytes, *, vendor: str, soc: str, settings: dict[str, str], folder: str) -> Answer:
        """Compile for a chip; returns the vendor's file.

        `vendor`: as LiteRT's package of it is called. `folder`: an empty one of the caller's for temporary files.

        Raises:
            TargetError: the plugin fails; its words are the details.
        """
        os.environ.setdefault(_ISA, _NO_BF16)
        tempfile.tempdir = folder
        with refusal(f"LiteRT's compiler for '{vendor}' cannot be loaded"):
            aot = importlib.import_module("ai_edge_litert.aot.aot_compile")
            types = importlib.import_module("ai_edge_litert.aot.core.aot_types")
            chips = importlib.import_module(f"ai_edge_litert.aot.vendors.{vendor}.target")
            importlib.import_module(f"ai_edge_litert.aot.vendors.{vendor}.{vendor}_backend")
            target = chips.Target(chips.SocModel(soc))
        with refusal(f"the compiler for {soc} fails"):
            made = aot.aot_compile(types.Model.create_from_bytes(model), target=target, keep_going=True, **settings)
        if made.failed_backends or len(made.models) != 1:
            raise TargetError(f"the compiler for {soc} fails on the model", details=_words(Path(folder)))
        (compiled,) = made.models
        return {}, (compiled.model_bytes,)


def _words(folder: Path) -> list[str]:
    """What the plugin wrote, from the files in which LiteRT keeps it: errors, and why something could not be loaded."""
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.error")))
    lines = [line.strip() for line in text.splitlines()]
    telling = [
        line[:300] for line in lines if re.search(r"ERROR|Failed|cannot open|Cannot|Could not|not supported", line)
    ]
    return telling[:8] or lines[-8:]


def partitioned(lines: tuple[str, ...]) -> tuple[int, int, int] | None:
    """Operators that the plugin took, of how many, in how many parts, as the runtime wrote when it compiled a model."""
    found = [match for line in lines if (match := _PARTITIONS.search(line))]
    return (int(found[-1][1]), int(found[-1][2]), int(found[-1][3])) if found else None
