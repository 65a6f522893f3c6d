from __future__ import annotations

import getpass
import json
import os
import platform
import socket
from pathlib import Path

import numpy as np
import pytest

from targets.environment import _cpuinfo, describe


def test_the_environment_says_what_runs_here() -> None:
    found = describe()
    assert found["cores"] == len(os.sched_getaffinity(0))
    assert found["machine"] == platform.machine()
    assert found["python"] == platform.python_version()
    assert found["versions"]["numpy"] == np.__version__
    assert found["cpu"]
    assert found["memory_bytes"] > 1 << 28
    assert json.loads(json.dumps(found)) == found


def test_the_environment_names_no_person_host_or_path() -> None:
    text = json.dumps(describe())
    assert "/home" not in text
    assert "/root" not in text
    for secret in (socket.gethostname(), getpass.getuser(), str(Path.cwd())):
        if len(secret) > 4:  # a shorter one could be part of a word
            assert secret not in text


X86 = """processor\t: 0
model\t\t: 85
model name\t: Some Processor @ 2.00GHz
flags\t\t: fpu sse4_1 avx2 avx512_vnni fma

processor\t: 1
model name\t: Another
"""

PI = """processor\t: 0
Features\t: fp asimd evtstrm crc32 cpuid asimdhp asimddp
CPU implementer\t: 0x41

Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""


@pytest.mark.parametrize(
    ("text", "model", "instructions"),
    [
        (X86, "Some Processor @ 2.00GHz", ["avx2", "fma", "avx512_vnni", "sse4_1"]),
        (PI, "Raspberry Pi 5 Model B Rev 1.0", ["asimd", "asimdhp", "asimddp"]),
        ("", "", []),
    ],
)
def test_processors_are_read_from_their_own_kind_of_file(text: str, model: str, instructions: list[str]) -> None:
    found = _cpuinfo(text)
    assert found["model"] == model
    assert sorted(found["instructions"]) == sorted(instructions)
