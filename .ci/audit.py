"""pip-audit on the lock file, with exceptions that end: `make audit`.

Fails on a known vulnerability that is not excepted, on an exception whose day has passed, and where a package could not
be looked up: no answer is no pass.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
LOCK = HERE.parent / "requirements.lock"


def main() -> int:
    """Returns the exit code."""
    exceptions, today = [], date.today()
    for line in (HERE / "audit-exceptions.txt").read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, until, *why = line.split(maxsplit=2)
        if not why or date.fromisoformat(until) < today:
            sys.stderr.write(f"the exception for {name} has ended on {until} or has no reason: look again\n")
            return 1
        exceptions += ["--ignore-vuln", name]
    command = [sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--require-hashes"]
    return subprocess.run([*command, "--requirement", str(LOCK), *exceptions], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
