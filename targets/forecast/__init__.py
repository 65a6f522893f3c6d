"""What each target would do with a file, from the file alone: which operator stops it, where, and what mends it.

`FORECASTS` has the rules of each target, which need none of it installed. A forecast is no measurement: `profile` says
what ran. The tests hold the rules of XNNPACK, TFLite Micro, Vela, the GPU and Intel's plugin against what these do.
"""

from __future__ import annotations

FORECASTS = {
    "cpu": "targets.forecast.litert:on_cpu",
    "reference": "targets.forecast.litert:on_kernels",
    "builtin": "targets.forecast.litert:on_kernels",
    "gpu": "targets.forecast.gpu:on_gpu",
    "browser": "targets.forecast.browser:in_browser",
    "openvino": "targets.forecast.peers:on_openvino",
    "onnxruntime": "targets.forecast.peers:on_onnxruntime",
    "micro": "targets.forecast.micro:on_micro",
    "ethosu": "targets.forecast.ethosu:on_ethosu",
    "npu": "targets.forecast.npu:on_npu",
    "edgetpu": "targets.forecast.edgetpu:on_edgetpu",
}
"""Target, or family before the colon -> "module:attribute" of a `targets.forecast.outlook.Forecaster`."""

_MEMBERS = {"browser": ("browser", "browser:webgpu"), "npu": ("npu:openvino",)}

ALL = tuple(name for head in FORECASTS for name in _MEMBERS.get(head, (head,)))
"""What `all` stands for."""
