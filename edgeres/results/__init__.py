"""Frozen records of everything that is measured, and their versioned JSON (`edgeres.result/1`).

Units are in the names: `_ms` milliseconds, `_bytes` bytes, `_points` percentage points; accuracies are fractions
of 1. Raw samples (rounds, predictions) are kept beside every figure that was computed from them.
"""

from __future__ import annotations

from edgeres.results.accuracy import Accuracy, Calibration, DataRecord, Divergence, Flip, Parity
from edgeres.results.estimate import Estimate
from edgeres.results.execution import (
    CompilerEstimate,
    DeviceRecord,
    Download,
    Failure,
    Memory,
    Operators,
    OperatorTime,
    OperatorTimes,
    Proof,
)
from edgeres.results.latency import BAND, Condition, Conditions, Energy, Latency, Rate, Start, Startup, Trend
from edgeres.results.result import (
    MACHINE,
    SCHEMA,
    ArtifactResult,
    Result,
    joined_evidence,
    merged,
    part_of,
    read_result,
    without_what_is_there,
)

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
    "DeviceRecord",
    "Divergence",
    "Download",
    "Energy",
    "Estimate",
    "Failure",
    "Flip",
    "Latency",
    "Memory",
    "OperatorTime",
    "OperatorTimes",
    "Operators",
    "Parity",
    "Proof",
    "Rate",
    "Result",
    "Start",
    "Startup",
    "Trend",
    "joined_evidence",
    "merged",
    "part_of",
    "read_result",
    "without_what_is_there",
]
