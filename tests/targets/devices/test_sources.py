from __future__ import annotations

import ast
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from targets.devices.sources import RECEIVER, ROOTS, closure, packed

ROOT = Path(__file__).parents[3]


def test_what_is_sent_imports_nothing_but_numpy_and_the_standard_library() -> None:
    """Wherever in a file: what a runtime needs is imported by name."""
    found = set()
    for module in closure(ROOTS):
        path = ROOT.joinpath(*module.split("."))
        text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                found.add(str(node.module).partition(".")[0])
    assert found - set(sys.stdlib_module_names) == {"numpy", "edgeres", "targets"}


def test_imports_inside_of_functions_are_followed() -> None:
    names = closure(ROOTS)
    assert {"targets.runtimes.interpreter", "targets.conditions", "edgeres.results.latency"} <= names
    assert not {name for name in names if name.startswith(("targets.commands", "edgeres.data", "converters"))}


def test_the_zip_file_holds_whole_packages_and_is_small_and_the_same_every_time() -> None:
    content = packed()
    names = set(zipfile.ZipFile(io.BytesIO(content)).namelist())
    assert {"edgeres/__init__.py", "targets/__init__.py", "targets/devices/runner.py"} <= names
    assert len(content) < 100_000
    packed.cache_clear()
    assert packed() == content


def test_the_receiver_survives_any_shell() -> None:
    """Single quotes of POSIX shells, fish and csh alike leave everything alone but these."""
    assert not set(RECEIVER) & set("'\\!\n\r`$")


def test_the_receiver_compiles_with_what_python_2_understood() -> None:
    tree = ast.parse(RECEIVER, feature_version=(3, 4))
    assert not any(isinstance(node, (ast.JoinedStr, ast.NamedExpr)) for node in ast.walk(tree))


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_damaged_sources_are_refused_before_any_of_them_runs(shell: str) -> None:
    command = f"{sys.executable} -c '{RECEIVER}' 4 {'0' * 64}"
    done = subprocess.run([shell, "-c", command], input=b"oops", capture_output=True)
    assert (done.returncode, done.stderr) == (1, b"edgeres: damaged\n")


def test_sources_that_end_too_early_end_the_receiver() -> None:
    done = subprocess.run([sys.executable, "-c", RECEIVER, "5", "0"], input=b"oops", capture_output=True)
    assert done.returncode == 3
