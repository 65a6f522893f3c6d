"""Writes the C++ app."""

from __future__ import annotations

from pathlib import Path

from converters.apps.c import sources
from converters.apps.c.arena import Arena, arena_of
from converters.apps.c.operators import adders
from converters.apps.golden_file import packed
from converters.apps.literals import markdown
from converters.apps.source import Source
from converters.apps.templates import filled, taken
from edgeres.errors import ModelError

_TEMPLATES = Path(__file__).parent / "templates"
_AS_THEY_ARE = (
    "CMakeLists.txt", "classifier.cc", "classifier.h", "golden.cc", "golden.h", "main.cc", "preprocess.cc",
    "preprocess.h", "preprocess_check.cc",
)  # fmt: skip


def write(source: Source) -> dict[str, bytes]:
    """The files of the app.

    Raises:
        ModelError: the model takes or gives floating-point numbers, or TensorFlow Lite Micro cannot run it.
    """
    _require_integers(source)
    used = adders(source.graph)
    arena = arena_of(source.bare_model, source.graph)
    generated = {
        "contract.h": sources.contract_header(source, arena),
        "input_table.cc": sources.input_table_source(source),
        "labels.h": sources.labels_header(),
        "labels.cc": sources.labels_source(source.labels),
        "model_data.h": sources.model_header(),
        "model_data.cc": sources.model_source(source.bare_model),
        "operators.h": sources.operators_header(used),
    }
    return {
        **taken(_TEMPLATES, *_AS_THEY_ARE),
        **{name: text.encode("ascii") for name, text in generated.items()},
        "golden.bin": packed(
            source.golden.images,
            sources.stored(source.golden.inputs, source.input),
            sources.stored(source.golden.outputs, source.output),
        ),
        "README.md": _readme(source, arena, used),
    }


def _require_integers(source: Source) -> None:
    for noun, tensor in (("takes", source.input), ("gives", source.output)):
        if tensor.dtype not in sources.TYPES:
            raise ModelError(
                f"{source.bundle.path}: the model {noun} {tensor.dtype}, an app for a microcontroller needs integers",
                fix="convert with --recipe int8",
            )


def _readme(source: Source, arena: Arena, used: tuple[str, ...]) -> bytes:
    table = sources.input_table(source)
    flash = len(source.bare_model) + table.nbytes + sum(len(label.encode("utf-8")) + 9 for label in source.labels)
    return filled(
        _TEMPLATES / "README.md",
        name=markdown(source.name),
        arena_bytes=f"{arena.size_bytes:,}",
        arena_how=arena.how,
        flash_bytes=f"{flash:,}",
        operators=", ".join(name.removeprefix("Add") for name in used),
        preprocess_bytes=f"{_preprocess_bytes(source):,}",
    )


def _preprocess_bytes(source: Source, *, width: int = 320, height: int = 240) -> int:
    """What a `Preprocessor` takes for images of a size: weights, the rows that one output row needs, their sums."""
    contract = source.contract
    reach = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos": 3}[contract.kernel]
    taps = [
        2 * int(-(-reach * max(1.0, size / out) // 1)) + 1
        for size, out in ((width, contract.width), (height, contract.height))
    ]
    weights = 4 * (contract.width * (taps[0] + 2) + contract.height * (taps[1] + 2))
    return weights + contract.width * 3 * (taps[1] + 1 + 4)
