"""LiteRT's `benchmark_model` for Android: its file, its options, and what it prints.

It keeps the times of single runs to itself: of each block of runs it prints how many there were, the first, the last
(`curr`), the least, the greatest, and their mean, deviation and quantiles, in whole microseconds. The first comes upon
the tool's own printing, and is slower; the last of two is a single run of a model that is warm.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeres import cache
from edgeres.errors import ConfigError, TargetError
from edgeres.results import Operators
from edgeres.storage import sha256_bytes
from targets.devices.inventory import shown

VARIABLE = "EDGERES_BENCHMARK_MODEL"
FOLDER = "android"
"""In edgeres' cache: `android/benchmark_model-ABI`."""

RUNS = 2
"""Of a block: the first belongs to the warm-up, the last is what is measured."""

SOURCE = (
    "build it from LiteRT's source (bazel build -c opt --config=android_arm64 "
    "//tflite/tools/benchmark:benchmark_model), or take android_aarch64_benchmark_model of TensorFlow's nightly builds"
)

DELEGATES = {"cpu": "XNNPACK", "gpu": "the GPU delegate", "npu": "the external delegate", "builtin": None}
"""Target -> what takes the nodes."""

_LOGGED = {"XNNPACK": "XNNPACK", "GPU": "the GPU delegate", "EXTERNAL": "the external delegate"}
_MACHINES = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86"}
"""`e_machine` of an ELF file -> Android's name."""

_REAL = r"-?[0-9]{1,19}(?:\.[0-9]{1,19})?(?:e[+-]?[0-9]{1,2})?"
_FIELD = re.compile(rf"(count|first|curr|min|max|avg|std|p5|median|p95)=({_REAL})(?![\w.])")
_TIMINGS = re.compile(r"Inference timings in us: Init: ([0-9]{1,19}), First inference: ([0-9]{1,19}), ")
_MEMORY = re.compile(r"Memory footprint delta from the start of the tool \(MB\): init=([\d.e+-]+) overall=([\d.e+-]+)")
_REPLACED = re.compile(r"Replacing ([0-9]{1,9})(?: out of [0-9]{1,9})? node\(s\) with delegate \(([^)]*)\)")
_APPLIED = re.compile(r"Explicitly applied (\S+) delegate, and the model graph will be (completely|partially)")
_NOT_APPLIED = re.compile(r"Though (\S+) delegate is explicitly applied, the model graph will not be")
_UNKNOWN = re.compile(r"Unconsumed cmdline flags: (.*)")
_NODE = re.compile(r"^\s*(\S+)\s+[\d.]+\s.*\]:(\d+)\s*$")


@dataclass(frozen=True)
class Tool:
    """The program: its bytes, and their hash."""

    content: bytes
    sha256: str

    def require_abi(self, abi: str) -> None:
        """Refuse a program for another processor than the device's.

        Raises:
            ConfigError: says for which it is.
        """
        if not self.content.startswith(b"\x7fELF"):
            return
        machine = _MACHINES.get(int.from_bytes(self.content[18:20], "little"), "another processor")
        if machine != abi:
            raise ConfigError(f"benchmark_model is built for {machine}, the device runs {abi}", fix=SOURCE)


def find_tool(given: str | None, *, sha256: str | None, abi: str) -> Tool:
    """The program: where the inventory says, else the variable, else in the cache. It is never downloaded.

    Raises:
        ConfigError: it is nowhere, cannot be read, or has another hash than the inventory says.
    """
    cached = cache.folder() / FOLDER / f"benchmark_model-{abi}"
    named = given or os.environ.get(VARIABLE)
    place = Path(named).expanduser() if named and "\0" not in named else cached
    if named is None and not cached.is_file():
        where = f'benchmark = "/path" in the inventory, {VARIABLE}=/path, or {cached}'
        details = [SOURCE, "compare its SHA-256 with that of who gave it to you, and pin it: benchmark_sha256 = …"]
        raise ConfigError("LiteRT's benchmark_model for Android is nowhere", details=details, fix=where)
    try:
        content = place.read_bytes()
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or problem
        text = f"benchmark_model cannot be read from {shown(str(named or place))!r}: {why}"
        raise ConfigError(text, fix=f'benchmark = "/path" in the inventory, or {VARIABLE}=/path') from problem
    found = sha256_bytes(content)
    if sha256 is not None and sha256.lower() != found:
        problem_text = f"{shown(str(place))} has the SHA-256 {found}, the inventory expects {shown(sha256)}"
        raise ConfigError(problem_text, fix="get the file that was meant, or correct benchmark_sha256")
    tool = Tool(content, found)
    tool.require_abi(abi)
    return tool


@dataclass(frozen=True)
class Call:
    """One invocation. `graph` and `folder` are paths on the device; `flags` those of the target, see `target_flags`."""

    program: str
    graph: str
    threads: int
    flags: tuple[str, ...]

    def words(self, *, runs: int, warm_up: tuple[int, float], seconds: float, extra: tuple[str, ...] = ()) -> list[str]:
        """The command: `runs` timed runs after a warm-up of at least so many runs and seconds, at most `seconds`."""
        return [
            self.program,
            f"--graph={self.graph}",
            f"--num_threads={self.threads}",
            f"--num_runs={runs}",
            "--min_secs=0",
            f"--warmup_runs={warm_up[0]}",
            f"--warmup_min_secs={warm_up[1]:g}",
            f"--max_secs={seconds:g}",
            *self.flags,
            *extra,
        ]


@dataclass(frozen=True)
class Report:
    """What an invocation printed. Times in microseconds, memory in bytes as the tool tells it (growth since its start).

    `warm_up`, `runs`: the fields of their line. `replaced`: delegate -> nodes that it took. `applied`: what became of
    the delegates that were asked for: all, a part, nothing. `ran`: kinds of the nodes that ran, where it was profiled.
    """

    initialization_us: int
    first_us: int
    warm_up: dict[str, float]
    runs: dict[str, float]
    load_bytes: int
    peak_bytes: int
    replaced: dict[str, int]
    applied: dict[str, str]
    ran: Counter[str]

    @property
    def last_ms(self) -> float:
        """The last run, as it was timed."""
        return self.runs["curr"] / 1000


def parse_report(text: str, *, runs: int) -> Report:
    """What an invocation printed, which has to be whole.

    Raises:
        TargetError: an option that the tool does not know, a line that is missing, or numbers that make no sense.
    """
    if unknown := _UNKNOWN.search(text):
        fix = f"take another benchmark_model: {SOURCE}"
        raise TargetError(f"this benchmark_model does not know {shown(unknown[1].strip())}", fix=fix)
    timings, blocks = _TIMINGS.search(text), _blocks(text)
    if timings is None or len(blocks) < 2:
        raise TargetError("the output of benchmark_model is not whole", details=last_lines(text), fix="measure again")
    measured, memory = blocks[-1], _MEMORY.search(text)
    least, greatest = measured.get("min", measured.get("curr", 0)), measured.get("max", measured.get("curr", 0))
    if measured.get("count") != runs or not 0 < least <= measured.get("curr", 0) <= greatest:
        found = " ".join(f"{name}={value:g}" for name, value in measured.items())
        problem = f"benchmark_model tells of runs that make no sense, or are too short for its clock: {found}"
        raise TargetError(problem, details=[f"expected {runs} runs of at least 1 us"], fix="measure again")
    return Report(
        initialization_us=int(timings[1]),
        first_us=int(timings[2]),
        warm_up=blocks[-2],
        runs=measured,
        load_bytes=_megabytes(memory[1]) if memory else 0,
        peak_bytes=_megabytes(memory[2]) if memory else 0,
        replaced=_replaced(text),
        applied=_applied(text),
        ran=_ran(text),
    )


def last_lines(text: str) -> list[str]:
    """The end of what was printed, as an error can show it."""
    return [shown(line.strip()) for line in text.splitlines() if line.strip()][-6:]


def _blocks(text: str) -> list[dict[str, float]]:
    """The fields of every line of statistics, in their order: old and new tools order them differently."""
    lines = [line for line in text.splitlines() if re.search(r"\bcount=\d+", line)]
    return [{name: float(value) for name, value in _FIELD.findall(line)} for line in lines]


def _megabytes(text: str) -> int:
    try:
        return max(0, int(float(text) * (1 << 20)))
    except (ValueError, OverflowError):
        return 0


def _replaced(text: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    for match in _REPLACED.finditer(text):
        found[match[2]] += int(match[1])
    return dict(found)


def _applied(text: str) -> dict[str, str]:
    """Delegate, as in `DELEGATES`, -> "completely", "partially" or "not"."""
    found = {_LOGGED.get(match[1].upper(), match[1]): match[2] for match in _APPLIED.finditer(text)}
    return found | {_LOGGED.get(match[1].upper(), match[1]): "not" for match in _NOT_APPLIED.finditer(text)}


def _ran(text: str) -> Counter[str]:
    """Kinds of the nodes of the plan, from the profile of the timed runs."""
    _, _, profile = text.partition("Operator-wise Profiling Info for Regular Benchmark Runs:")
    order = profile.partition("Run Order")[2].partition("Top by Computation Time")[0]
    found: Counter[str] = Counter()
    seen = set()
    for line in order.splitlines():
        if (match := _NODE.match(line)) and match[2] not in seen:
            seen.add(match[2])
            found[match[1]] += 1
    return found


def coverage(report: Report, target: str, *, kinds: dict[str, int]) -> Operators:
    """What ran where: from the profile, which lists every node that ran; held against what the tool says it replaced.

    Raises:
        TargetError: the delegate took nothing, or the tool tells too little, or two different things.
    """
    count, delegate = sum(kinds.values()), DELEGATES[target]
    left = Counter({kind: min(number, kinds[kind]) for kind, number in report.ran.items() if kind in kinds})
    if not report.ran:
        problem = "benchmark_model printed no profile of the operators: what ran where is not known"
        raise TargetError(problem, fix=f"take a tool that is built with profiling: {SOURCE}")
    delegated = count - left.total()
    told = report.applied.get(delegate, "not") if delegate else "not"
    if delegate and (told == "not" or not delegated):
        fix = "convert the model to what the delegate supports, or measure on cpu"
        if target == "cpu":
            fix = "measure on builtin"
        problem = f"{delegate} takes none of the model's {count} operators on this device"
        raise TargetError(problem, details=_details(report), fix=fix)
    if (told == "completely") != (delegated == count) and delegate:
        problem = (
            f"benchmark_model says that {delegate} runs the model {told}, its profile has {count - delegated} left"
        )
        raise TargetError(problem, details=_details(report), fix="take another benchmark_model")
    return Operators(
        nodes=count,
        delegated=delegated if delegate else 0,
        delegate=delegate,
        kinds=kinds,
        left=dict(left.most_common()),
    )


def _details(report: Report) -> list[str]:
    ran = ", ".join(f"{number} {kind}" for kind, number in report.ran.most_common(6))
    return [f"replaced: {report.replaced or 'not told'}; ran: {ran}"]


def target_flags(target: str, *, delegate: str | None = None, options: str | None = None) -> tuple[str, ...]:
    """The options of a target; of `npu` with the path of a vendor's delegate on the device, and its options.

    XNNPACK is asked for, or left out, by name: what another delegate leaves runs on the runtime's own kernels, and
    every node that a delegate took is that delegate's.
    """
    own = {
        "cpu": ("--use_xnnpack=true",),
        "builtin": ("--use_xnnpack=false",),
        "gpu": ("--use_gpu=true", "--use_xnnpack=false"),
        "npu": (f"--external_delegate_path={delegate}", "--use_xnnpack=false"),
    }[target]
    return (*own, f"--external_delegate_options={options}") if target == "npu" and options else own


def block_record(report: Report) -> dict[str, Any]:
    """What the tool printed of one block, for the result: microseconds, under its own names."""
    return {name: int(value) if value == int(value) else value for name, value in report.runs.items()}
