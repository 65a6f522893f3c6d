"""Frozen records of everything that is measured, and their versioned JSON (`edgeres.result/1`).

Units are in the names: `_ms` milliseconds, `_bytes` bytes, `_points` percentage points; accuracies are fractions
of 1. Raw samples (rounds, predictions) are kept beside every figure that was computed from them.
"""

from __future__ import annotations

from edgeres.results.accuracy import Accuracy, Calibration, DataRecord, Divergence, Flip
from edgeres.results.estimate import Estimate
from edgeres.results.execution import CompilerEstimate, Download, Memory, Operators, OperatorTime, OperatorTimes, Proof
from edgeres.results.latency import BAND, Condition, Conditions, Latency, Start, Startup, Trend
from edgeres.results.result import MACHINE, SCHEMA, ArtifactResult, Result, merged, read_result

__all__ = [
    "BAND",
    "MACHINE",
    "SCHEMA",
    "Accuracy",
    "ArtifactResult",
    "Calibration",
    "CompilerEstimate",
    "Condition",
    "Conditions",
    "DataRecord",
    "Divergence",
    "Download",
    "Estimate",
    "Flip",
    "Latency",
    "Memory",
    "OperatorTime",
    "OperatorTimes",
    "Operators",
    "Proof",
    "Result",
    "Start",
    "Startup",
    "Trend",
    "merged",
    "read_result",
]
