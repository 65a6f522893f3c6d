"""From a bundle to a measurement: targets run a flatbuffer in a child process, and what they do is measured.

A `.tflite` enters as bytes, passes the structural walk (`flatbuffer.py`), is loaded in a child with limits
(`sandbox.py`) by a runtime (`runtimes/`), and is measured for latency, accuracy, memory and operator coverage, one
file each. Nothing here needs TensorFlow.
"""

from __future__ import annotations

TARGETS = {
    "cpu": "targets.runtimes.cpu:CPU",
    "reference": "targets.runtimes.cpu:REFERENCE",
    "builtin": "targets.runtimes.cpu:BUILTIN",
    "openvino": "targets.runtimes.openvino:OPENVINO",
    "onnxruntime": "targets.runtimes.onnxruntime:ONNXRUNTIME",
    "micro": "targets.runtimes.micro:MICRO",
    "ethosu": "targets.runtimes.ethosu:ETHOSU",
    "browser": "targets.runtimes.browser:BROWSER",
    "edgetpu": "targets.runtimes.edgetpu:EDGETPU",
    "external": "targets.runtimes.external:EXTERNAL",
    "gpu": "targets.runtimes.gpu:GPU",
    "npu": "targets.runtimes.npu:NPU",
}
"""Target name -> "module:attribute" of a `targets.target.Target`, or of a `Family` of them."""
