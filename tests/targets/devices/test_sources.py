from __future__ import annotations

import ast
import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from targets.devices.sources import OLDEST, RECEIVER, ROOTS, closure, packed

ROOT = Path(__file__).parents[3]

NEWER = {
    *("aclosing", "aiter", "anext", "batched", "bit_count", "ExceptionGroup", "freedesktop_os_release"),
    *("get_annotations", "hardlink_to", "NoneType", "orig_argv", "pairwise", "ParamSpec", "Self", "StrEnum"),
    *("stdlib_module_names", "tomllib", "TypeAlias", "TypeGuard", "UnionType", "UTC"),
}
"""Names of the standard library that Python 3.9 lacks, as far as code like this could want them."""

NEWER_KEYWORDS = {"zip": {"strict"}, "dataclass": {"slots", "kw_only", "match_args"}, "glob": {"root_dir"}}


def source(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


def evaluated(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but annotations, which `from __future__ import annotations` leaves alone."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns"):
                waiting += [
                    each for each in (value if isinstance(value, list) else [value]) if isinstance(each, ast.AST)
                ]


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def has_union(*nodes: ast.AST) -> bool:
    return any(isinstance(each, ast.BitOr) for node in nodes for each in ast.walk(node))


def too_new(node: ast.AST) -> bool:
    """Whether Python 3.9 cannot run a node, as far as that is seen without running it."""
    if isinstance(node, ast.Attribute):
        return node.attr in NEWER
    if isinstance(node, ast.Name):
        return node.id in NEWER
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return any(alias.name in NEWER for alias in node.names)
    if isinstance(node, ast.Subscript):  # an alias such as tuple[int | None]
        return has_union(node.slice)
    if not isinstance(node, ast.Call):
        return False
    if called(node) in ("isinstance", "issubclass", "cast", "TypeVar"):
        return has_union(*node.args, *node.keywords)
    newer = NEWER_KEYWORDS.get(called(node), set()) & {word.arg for word in node.keywords}
    return bool(newer) or (called(node) == "print_exception" and len(node.args) == 1)


@pytest.mark.parametrize("module", sorted(closure(ROOTS)))
def test_what_is_sent_is_written_for_the_oldest_python(module: str) -> None:
    """What it cannot see, `test_python39.py` meets where it runs."""
    tree = ast.parse(source(module), feature_version=OLDEST)
    assert [ast.unparse(node) for node in evaluated(tree) if too_new(node)] == []


@pytest.mark.parametrize(
    "text",
    [
        "zip(a, b, strict=True)",
        "@dataclass(slots=True)\nclass A: ...",
        "Answer = tuple[int | None, ...]",
        "platform.freedesktop_os_release()",
        "from itertools import pairwise",
        "import tomllib",
        "traceback.print_exception(error)",
        "(7).bit_count()",
        "isinstance(value, int | float)",
    ],
)
def test_what_python_3_9_cannot_run_is_found(text: str) -> None:
    assert any(too_new(node) for node in evaluated(ast.parse(text)))


def test_annotations_may_be_newer_for_they_are_not_evaluated() -> None:
    tree = ast.parse("def f(a: int | None) -> tuple[int | None]:\n    b: list[int | None] = [a]\n    return b | {a: 1}")
    assert not any(too_new(node) for node in evaluated(tree))
    for module in closure(ROOTS):
        if any(isinstance(node, (ast.AnnAssign, ast.FunctionDef)) for node in ast.walk(ast.parse(source(module)))):
            assert "from __future__ import annotations" in source(module)


def test_what_is_sent_imports_nothing_but_numpy_and_the_standard_library() -> None:
    """Wherever in a file: what a runtime needs is imported by name."""
    found = set()
    for module in closure(ROOTS):
        for node in ast.walk(ast.parse(source(module))):
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
