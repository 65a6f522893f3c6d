"""Does depth help? Plain and residual networks of 20 and 56 layers, the same 15 epochs at half the paper's width:

    python -m benchmarks.depth --data cifar10:PATH --runs FOLDER

A folder with unfinished runs is continued. Writes `benchmarks/results/depth.json` and `docs/images/depth.svg`, after
figure 6 of He et al. (2015).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from benchmarks.paired import save
from edgeres.records import encode
from edgeres.training.run import History, read_config, read_history

NETWORKS = ("plain20", "plain56", "resnet20", "resnet56")
EPOCHS, WIDTH = 15, 0.5
ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "images" / "depth.svg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", type=Path, required=True)
    options = parser.parse_args()

    histories: dict[str, History] = {}
    record: dict[str, Any] = {}
    for name in NETWORKS:
        run = options.runs / name
        _train(name, options.data, run)
        histories[name] = read_history(run)
        record[name] = {"training": read_config(run).training, "history": encode(histories[name])}
        print(_row(name, histories[name]))
    save("depth", {"width": WIDTH, "runs": record})
    _draw(histories)


def _train(name: str, data: str, run: Path) -> None:
    settings = ("--width", str(WIDTH), "--epochs", str(EPOCHS), "--data", data, "--out", str(run), "--resume")
    subprocess.run([sys.executable, str(ROOT / "cli.py"), "train", name, *settings], check=True)


def _row(name: str, history: History) -> str:
    last, test = history.epochs[-1], history.test_accuracy
    found = f"{100 - 100 * test.value:.2f} [{100 - 100 * test.high:.2f}, {100 - 100 * test.low:.2f}]" if test else ""
    return f"| {name} | {last.loss:.3f} | {100 - 100 * last.accuracy:.2f} | {found} |"


def _draw(histories: dict[str, History]) -> None:
    """Training error (thin) and validation error (bold) over the epochs; plain networks left, residual ones right."""
    pyplot.rcParams.update({"svg.hashsalt": "edgeres", "font.size": 10})  # the same bytes for the same figures
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for name, history in histories.items():
        axes = left if name.startswith("plain") else right
        color = "tab:red" if name.endswith("56") else "tab:blue"
        epochs = [epoch.epoch for epoch in history.epochs]
        for field, width in (("accuracy", 1), ("val_accuracy", 2.4)):
            words = f"{name}, {'validation' if field.startswith('val') else 'training'}"
            errors = [100 - 100 * getattr(epoch, field) for epoch in history.epochs]
            axes.plot(epochs, errors, color=color, linewidth=width, label=words)
    for axes, title in ((left, "Plain"), (right, "Residual")):
        axes.set(title=title, xlabel="epoch", xlim=(1, EPOCHS))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    left.set_ylabel("error, %")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})
    print(f"wrote {PICTURE}")


if __name__ == "__main__":
    main()
