"""A stand-in for LiteRT's `benchmark_model`: takes its options, runs the model with ai-edge-litert, prints its lines.

The lines are those of LiteRT's `tflite/tools/benchmark`. XNNPACK, the built-in kernels and external delegates are real.
There is no GPU delegate here: `--use_gpu=true` runs XNNPACK, and prints what the tool prints of a GPU that takes the
nodes which XNNPACK takes; with `FAKE_GPU=none`, what it prints where the delegate takes nothing. `FAKE_OLD=1` prints as
tools of 2020 did. `FAKE_WRONG=1` computes something else; `FAKE_CRASH=CODE`, `FAKE_HANG=1` and `FAKE_FULL=1` do what
they say.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time

import numpy as np
from ai_edge_litert import interpreter as litert

KNOWN = {
    "graph": "", "num_threads": "-1", "num_runs": "50", "min_secs": "1", "max_secs": "150", "warmup_runs": "1",
    "warmup_min_secs": "0.5", "use_xnnpack": "", "use_gpu": "false", "external_delegate_path": "",
    "external_delegate_options": "", "input_layer": "", "input_layer_shape": "", "input_layer_value_files": "",
    "output_filepath": "", "enable_op_profiling": "false", "report_peak_memory_footprint": "false",
}  # fmt: skip
OLD = "FAKE_OLD" in os.environ


def say(text: str) -> None:
    print(text if OLD else f"INFO: {text}", flush=True)


def options() -> dict[str, str]:
    found, unknown = dict(KNOWN), []
    for word in sys.argv[1:]:
        name, _, value = word.removeprefix("--").partition("=")
        if name not in KNOWN or (OLD and name == "output_filepath"):
            unknown.append(word)
        else:
            found[name] = value
    if unknown:
        say(f"Unconsumed cmdline flags: {' '.join(unknown)}")
    return found


def statistics_line(times: list[int]) -> str:
    quantiles = [sorted(times)[len(times) * share // 100] for share in (5, 50, 95)] if times else []
    if not times:
        return "count=0"
    if min(times) == max(times):
        text = f"curr={times[-1]} count={len(times)}" if OLD else f"count={len(times)} curr={times[-1]}"
        text += "(all same)" if len(times) > 1 else ""
    else:
        text = f"count={len(times)} first={times[0]} curr={times[-1]} min={min(times)} max={max(times)} "
        text += f"avg={statistics.fmean(times):.6g} std={int(statistics.pstdev(times))}"
    return text if OLD else f"{text} p5={quantiles[0]} median={quantiles[1]} p95={quantiles[2]}"


def load(given: dict[str, str]) -> tuple[litert.Interpreter, str | None]:
    with open(given["graph"], "rb") as file:
        content = file.read()
    say(f"Loaded model {given['graph']}")
    delegates, name = [], None
    resolver = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    if given["external_delegate_path"]:
        pairs = dict(option.split(":", 1) for option in given["external_delegate_options"].split(";") if option)
        delegates, name = [litert.load_delegate(given["external_delegate_path"], pairs)], "EXTERNAL"
        say("EXTERNAL delegate created.")
    elif given["use_gpu"] == "true":
        name = "GPU"
        say("GPU delegate created.")
        if os.environ.get("FAKE_GPU") != "none":
            resolver = litert.OpResolverType.AUTO
    elif given["use_xnnpack"] != "false":
        resolver, name = litert.OpResolverType.AUTO, "XNNPACK"
        say("XNNPACK delegate created.")
    threads = max(1, int(given["num_threads"]))
    model = litert.Interpreter(
        model_content=content,
        num_threads=threads,
        experimental_op_resolver_type=resolver,
        experimental_delegates=delegates,
    )
    model.allocate_tensors()
    return model, name


def plan(model: litert.Interpreter) -> list[tuple[int, str]]:
    """The nodes that run, by number and kind: back from the outputs, the delegate before what it replaced."""
    nodes = model._get_ops_details()
    producers = {tensor: place for place, node in enumerate(nodes) for tensor in node["outputs"]}
    ran: set[int] = set()
    waiting = [detail["index"] for detail in model.get_output_details()]
    while waiting:
        place = producers.get(waiting.pop())
        if place is not None and place not in ran:
            ran.add(place)
            waiting.extend(tensor for tensor in nodes[place]["inputs"] if tensor >= 0)
    return [(place, nodes[place]["op_name"]) for place in sorted(ran)]


def report_delegates(model: litert.Interpreter, name: str | None) -> None:
    if name is None:
        return
    kernels = {"GPU": "TfLiteGpuDelegateV2", "XNNPACK": "TfLiteXNNPackDelegate"}.get(name, "TestDelegate")
    count = len(model._get_ops_details())
    ran = plan(model)
    parts = sum(kind == "DELEGATE" for _, kind in ran)
    total = count - parts
    taken = total - sum(kind != "DELEGATE" for _, kind in ran)
    if not parts:
        say(f"Though {name} delegate is explicitly applied, the model graph will not be executed by the delegate.")
        return
    print(
        f"VERBOSE: Replacing {taken} out of {total} node(s) with delegate ({kernels}) node, yielding "
        f"{2 * parts} partitions for subgraph 0."
    )
    how = (
        "completely executed by the delegate."
        if taken == total and parts == 1
        else (f"partially executed by the delegate w/ {parts} delegate kernels.")
    )
    say(f"Explicitly applied {name} delegate, and the model graph will be {how}")


def profile(model: litert.Interpreter, name: str | None, milliseconds: float) -> None:
    kernels = {"GPU": "TfLiteGpuDelegateV2", "XNNPACK": "TfLiteXNNPackDelegate"}.get(name or "", "TestDelegate")
    say("Operator-wise Profiling Info for Regular Benchmark Runs:")
    print("============================== Run Order ==============================")
    print("\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]")
    ran = plan(model)
    for place, kind in ran:
        share, each = 100 / len(ran), milliseconds / len(ran)
        shown = kernels if kind == "DELEGATE" else kind
        row = f"\t{shown:>24}\t{each:9.3f}\t{each:9.3f}\t{share:7.3f}%\t{share:7.3f}%"
        print(f"{row}\t    0.000\t        1\t[a/layer;with: things]:{place}")
    print("\n============================== Top by Computation Time ==============================")
    print(f"Number of nodes executed: {len(ran)}\n", flush=True)


def timed(model: litert.Interpreter, least: int, seconds: float, most: float) -> list[int]:
    say(
        f"Running benchmark for at least {least} iterations and at least {seconds:g} seconds but "
        f"terminate if exceeding {most:g} seconds."
    )
    began, times = time.monotonic(), []
    while (len(times) < least or time.monotonic() - began < seconds) and time.monotonic() - began <= most:
        before = time.perf_counter_ns()
        model.invoke()
        times.append(max(1, (time.perf_counter_ns() - before) // 1000))
    say(statistics_line(times) + "\n")
    return times


def resident_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    given = options()
    say("STARTING!")
    if code := os.environ.get("FAKE_CRASH"):
        sys.exit(int(code))
    if "FAKE_HANG" in os.environ:
        time.sleep(600)
    say("Log parameter values verbosely: [0]")
    say(f"Graph: [{given['graph']}]")
    before, began = resident_kb(), time.perf_counter_ns()
    model, name = load(given)
    report_delegates(model, name)
    initialization, loaded = (time.perf_counter_ns() - began) // 1000, resident_kb()
    say(f"The input model file size (MB): {os.path.getsize(given['graph']) / 1e6:g}")
    say(f"Initialized session in {initialization / 1000:g}ms.")
    (entry,), (result,) = model.get_input_details(), model.get_output_details()
    if files := given["input_layer_value_files"]:
        path = files.partition(":")[2]
        with open(path, "rb") as file:
            content = file.read()
        size = int(np.prod(entry["shape"])) * np.dtype(entry["dtype"]).itemsize
        if len(content) != size:
            print(f"ERROR: The size of {path} is {len(content)} bytes. It should be {size} bytes.")
            os.abort()
        values = np.frombuffer(content, entry["dtype"]).reshape(entry["shape"])
    else:
        values = np.random.default_rng().integers(0, 100, entry["shape"]).astype(entry["dtype"])
    model.set_tensor(entry["index"], values)
    most = float(given["max_secs"])
    warm = timed(model, int(given["warmup_runs"]), float(given["warmup_min_secs"]), most)
    times = timed(model, int(given["num_runs"]), float(given["min_secs"]), most)
    say(
        f"Inference timings in us: Init: {initialization}, First inference: {warm[0] if warm else 0}, "
        f"Warmup (avg): {statistics.fmean(warm or [0]):g}, Inference (avg): {statistics.fmean(times):g}"
    )
    say("Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE …")
    overall = (resident_kb() - before) / 1024
    say(
        f"Memory footprint delta from the start of the tool (MB): init={(loaded - before) / 1024:g} overall={overall:g}"
    )
    if given["enable_op_profiling"] == "true":
        profile(model, name, times[-1] / 1000)
    if given["output_filepath"] and not OLD:
        scores = model.get_tensor(result["index"])
        with open(given["output_filepath"], "wb") as file:
            file.write(
                b""
                if "FAKE_FULL" in os.environ
                else (np.zeros_like(scores) if "FAKE_WRONG" in os.environ else scores).tobytes()
            )


if __name__ == "__main__":
    main()
