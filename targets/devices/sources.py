"""The sources that a device needs: found by following imports, and sent as a zip file that lies in memory there.

The program that receives them is one line without quotes that a shell could misread, and runs on any Python, if only to
say that it is too old.
"""

from __future__ import annotations

import ast
import io
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).absolute().parents[2]
_PACKAGES = ("edgeres", "targets")

RUNNER = "targets.devices.runner"

ROOTS = (RUNNER, "targets.worker", "targets.runtimes.interpreter", "targets.conditions")
"""What runs on a device; modules that are named in a call are no imports."""

OLDEST = (3, 9)
"""The oldest Python that runs what is sent: that of Debian 11, on which many a Raspberry Pi is."""

TOO_OLD = "edgeres: too old: Python"
DAMAGED = "edgeres: damaged"

RECEIVER = (
    "import os,sys;"
    f'sys.version_info<{OLDEST} and sys.exit("{TOO_OLD} "+sys.version.split()[0]);'
    "import hashlib,tempfile;"
    'n,h=int(sys.argv[1]),sys.argv[2];b=b"";'
    'exec("while len(b)<n: b+=os.read(0,n-len(b)) or sys.exit(3)");'
    f'hashlib.sha256(b).hexdigest()==h or sys.exit("{DAMAGED}");'
    'd=os.memfd_create("edgeres") if hasattr(os,"memfd_create") else os.dup(tempfile.TemporaryFile().fileno());'
    'f=open(d,"wb",closefd=False);f.write(b);f.close();'
    'sys.path[0]="/proc/%d/fd/%d"%(os.getpid(),d);'
    f"from {RUNNER} import main;main()"
)
"""Reads the sources from its input, checks their SHA-256, and runs them; arguments: their size and hash."""


@cache
def packed(extra: tuple[str, ...] = ()) -> bytes:
    """A zip file of all modules that the roots import, directly or through others; the same bytes for the same sources.

    `extra`: further roots.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(_path(name) for name in closure((*ROOTS, *extra))):
            entry = zipfile.ZipInfo(path.relative_to(_ROOT).as_posix())
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return content.getvalue()


def closure(roots: Sequence[str]) -> set[str]:
    """The modules of this project that these import, wherever in the file, with the packages that they lie in."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imported(name)
    return found


def _imported(name: str) -> Iterator[str]:
    if parent := name.rpartition(".")[0]:
        yield parent
    for node in ast.walk(ast.parse(_path(name).read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:  # relative imports are not used here
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (each for each in names if each.partition(".")[0] in _own(name) and _is_module(each))


def _own(name: str) -> tuple[str, ...]:
    return (*_PACKAGES, name.partition(".")[0])


def _is_module(name: str) -> bool:
    return any(path.is_file() for path in _paths(name))


def _path(name: str) -> Path:
    return next(path for path in _paths(name) if path.is_file())


def _paths(name: str) -> tuple[Path, Path]:
    place = _ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py"), place / "__init__.py"
