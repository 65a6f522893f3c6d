"""The model that a device's compiler was given: a compiled file has operators that only that device runs.

Compilers write `NAME_SUFFIX.tflite` beside `NAME.tflite`: Coral's `NAME_edgetpu.tflite`, Arm's Vela `NAME_vela.tflite`.
"""

from __future__ import annotations

from pathlib import Path

from edgeres.errors import EdgeresError, TargetError
from targets.artifact import Artifact, open_artifact
from targets.flatbuffer import walk
from targets.graph import Graph
from targets.schema import OPERATORS


def reference_model(artifact: Artifact) -> bytes:
    """What the reference kernels run in its place: the model itself, or the one that it was compiled from.

    Raises:
        TargetError: it is compiled, and the file that it was compiled from is not beside it, or is another model.
    """
    graph = walk(artifact.model)
    strange = sorted(graph.kinds.keys() - set(OPERATORS))
    if not strange:
        return artifact.model
    path = Path(artifact.path)
    source = path.with_name(f"{path.stem.rpartition('_')[0]}.tflite")
    problem = f"the model is compiled, the reference kernels have no {strange[0]}"
    if not path.stem.rpartition("_")[0] or not source.is_file():
        fix = "put what it was compiled from beside it: NAME.tflite beside NAME_edgetpu.tflite, NAME_vela.tflite"
        raise TargetError(f"{problem}: nothing could tell whether it computes what it should", fix=fix)
    try:
        model = open_artifact(source).model
        same = _ports(walk(model)) == _ports(graph)
    except EdgeresError as error:
        text = f"{problem}; what it was compiled from is unusable: {error.message}"
        raise TargetError(text, fix=error.fix) from error
    if not same:
        raise TargetError(f"{problem}; {source} is no model that it was compiled from: its input or output is another")
    return model


def _ports(graph: Graph) -> list[tuple[str, tuple[int, ...]]]:
    return [(tensor.dtype, tensor.shape) for tensor in (*graph.inputs, *graph.outputs)]
