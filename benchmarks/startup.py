"""How long `edgeres --help` takes, against `python -c "import click"`: python -m benchmarks.startup."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.paired import compare, record, save


def main() -> None:
    def run(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)

    found = compare(
        lambda: run("from edgeres.console import main; main(['--help'])"), lambda: run("import click"), pairs=21
    )
    ratio = found.ratio
    print(f"edgeres --help takes {ratio.value:.2f}x as long as importing click [{ratio.low:.2f}, {ratio.high:.2f}]")
    save("startup", {"help_against_click": record(found)})


if __name__ == "__main__":
    main()
