"""The compilers that a conversion is asked for, and what they make of its flatbuffer for the bundle."""

from __future__ import annotations

from collections.abc import Sequence

from edgeres.compiled_file import CompiledFile, file_name
from edgeres.errors import ConfigError
from edgeres.progress import Progress, silent
from edgeres.storage import sha256_bytes
from targets.catalogue import about, find_target
from targets.target import Compiler, require_available


def find_compilers(names: Sequence[str]) -> tuple[Compiler, ...]:
    """The targets of these names, each once, with a compiler that is installed; nothing is compiled yet.

    Raises:
        TargetError: an unknown target, or one whose compiler cannot run here.
        ConfigError: a target that runs the flatbuffer itself.
    """
    return tuple(map(_find_compiler, dict.fromkeys(names)))


def _find_compiler(name: str) -> Compiler:
    target = find_target(name)
    if not isinstance(target, Compiler):
        raise ConfigError(
            f"--compile {name}: this target runs the flatbuffer itself, nothing is compiled for it",
            fix="leave it out, or name one that compiles: ethosu:CONFIG, npu:VENDOR:CHIP (docs/targets.md)",
        )
    require_available(target)
    return target


def compile_for(
    compilers: Sequence[Compiler], model: bytes, *, progress: Progress = silent
) -> tuple[tuple[CompiledFile, bytes], ...]:
    """What each compiler makes of a flatbuffer: how it was made, and the file.

    Raises:
        TargetError: one takes no operator of the model, or dies on it; the message begins with the option.
    """
    made = []
    for place, target in enumerate(compilers):
        progress("compile", place, len(compilers))
        made.append(_compiled(target, model))
        progress("compile", place + 1, len(compilers))
    return tuple(made)


def _compiled(target: Compiler, model: bytes) -> tuple[CompiledFile, bytes]:
    with about(f"--compile {target.name}"):
        found = target.compile(model)
    record = CompiledFile(
        file=file_name(target.name),
        target=target.name,
        compiler=found.compiler,
        options=found.options,
        made_of=sha256_bytes(model),
        operators=found.operators,
        memory=found.memory,
        estimate=found.estimate,
    )
    return record, found.file
