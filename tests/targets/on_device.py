"""Runs where there is only a TFLite runtime, numpy and Pillow: `python on_device.py MODELS INPUTS.npy OUT.npz`.

Prints what it found as JSON. Lies apart from the tests because that environment has no pytest.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import sys
from pathlib import Path

import numpy as np

CONTRACTS = ("edgeres.bundle", "edgeres.preprocess", "edgeres.results", "edgeres.errors")
ABSENT = ("tensorflow", "tf_keras", "keras", "ai_edge_litert", "pydantic", "click", "rich", "yaml")
KERNELS = ("cpu", "reference", "builtin")
"""The targets that need the runtime alone."""

NAMES = ("float32", "float16", "int8")


def main(models: Path, inputs: Path, out: Path) -> None:
    import targets
    from targets.catalogue import find_target

    names = [module.name for module in pkgutil.walk_packages(targets.__path__, "targets.")]
    imported = [name for name in (*CONTRACTS, *names) if not name.endswith("commands")]
    for name in imported:
        importlib.import_module(name)
    outputs, operators = {}, {}
    for target in KERNELS:
        for name in NAMES:
            with find_target(target).open((models / f"{name}.tflite").read_bytes()) as session:
                outputs[f"{target}_{name}"] = session.infer(np.load(inputs))
                operators[f"{target}_{name}"] = session.operators().delegated
                session.time(runs=2, seconds=0)
                session.memory()
    np.savez(out, **outputs)
    found = {
        "present": [name for name in ABSENT if importlib.util.find_spec(name) is not None],
        "imported": imported,
        "version": find_target("cpu").check().version,
        "numpy": np.__version__,
        "delegated": operators,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
