"""What differs from bundle to bundle, as C++: constants, tables and literals."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from converters.apps.c.arena import Arena
from converters.apps.literals import c_string
from converters.apps.source import Source
from edgeres.preprocess import MAX_PIXELS
from targets.graph import Tensor
from targets.scaling import quantize

TYPES = {"int8": "std::int8_t", "uint8": "std::uint8_t", "int16": "std::int16_t"}
"""Types of an input or output that need no floating-point arithmetic."""

_PER_LINE = 20


def contract_header(source: Source, arena: Arena) -> str:
    """contract.h: what the model's input and output are."""
    contract, (scale, zero_point) = source.contract, _scaling(source.output)
    steps = int(source.bundle.manifest.tolerance / scale * 1.001)
    return _header(
        "CONTRACT",
        f"""#include <cstddef>
#include <cstdint>

namespace app {{

enum class Order {{ kRgb, kBgr, kGray }};
enum class Resize {{ kStretch, kCrop, kPad }};
enum class Kernel {{ kNearest, kBilinear, kBicubic, kLanczos }};

constexpr int kHeight = {contract.height};
constexpr int kWidth = {contract.width};
constexpr int kChannels = {contract.depth};
constexpr Order kOrder = Order::k{contract.channels.capitalize()};
constexpr Resize kResize = Resize::k{contract.resize.capitalize()};
constexpr double kCropFraction = {contract.crop_fraction!r};
constexpr Kernel kKernel = Kernel::k{contract.kernel.capitalize()};
constexpr int kMaxPixels = {MAX_PIXELS};

using Input = {TYPES[source.input.dtype]};
using Output = {TYPES[source.output.dtype]};

// What the model takes for each value of a pixel, by channel: scale, mean, deviation and quantization in one.
extern const Input kInputTable[kChannels][256];

constexpr int kClasses = {len(source.labels)};
constexpr float kOutputScale = {np.float32(scale)!s}F;
constexpr int kOutputZeroPoint = {zero_point};
constexpr int kTolerance = {steps};  // steps by which other kernels may differ from the golden outputs
constexpr bool kProbabilities = {str(source.gives_probabilities).lower()};  // else scores are logits

// {arena.how}
constexpr std::size_t kArenaBytes = {arena.size_bytes};

}}  // namespace app
""",
    )


def input_table(source: Source) -> NDArray[np.integer]:
    """What the model's input holds for each pixel value: (channels, 256) of the input's type."""
    pixels = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], source.contract.depth, axis=1)
    return stored(source.contract.normalize(pixels), source.input).T


def input_table_source(source: Source) -> str:
    """input_table.cc."""
    rows = ",\n".join(f"    {{\n{_numbers(row)}}}" for row in input_table(source).tolist())
    return (
        f'#include "contract.h"\n\nnamespace app {{\n\nconst Input kInputTable[kChannels][256] = {{\n{rows}}};\n\n}}\n'
    )


def labels_header() -> str:
    """labels.h."""
    body = """#include <string_view>

#include "contract.h"

namespace app {

// UTF-8, in the order of the outputs.
extern const std::string_view kLabels[kClasses];

}  // namespace app
"""
    return _header("LABELS", body)


def labels_source(labels: Iterable[str]) -> str:
    """labels.cc; lengths are given, for a label may hold a zero byte."""
    rows = "".join(f"    std::string_view({c_string(label)}, {len(label.encode('utf-8'))}),\n" for label in labels)
    return (
        f'#include "labels.h"\n\nnamespace app {{\n\nconst std::string_view kLabels[kClasses] = {{\n{rows}}};\n\n}}\n'
    )


def model_header() -> str:
    """model_data.h."""
    body = """#include <cstddef>

namespace app {

extern const unsigned char kModel[];
extern const std::size_t kModelSize;

}  // namespace app
"""
    return _header("MODEL_DATA", body)


def model_source(model: bytes) -> str:
    """model_data.cc: the flatbuffer, aligned as its reader needs it."""
    return (
        '#include "model_data.h"\n\nnamespace app {\n\n'
        f"alignas(16) const unsigned char kModel[] = {{\n{_numbers(model)}}};\n"
        "const std::size_t kModelSize = sizeof(kModel);\n\n}  // namespace app\n"
    )


def operators_header(adders: tuple[str, ...]) -> str:
    """operators.h: a resolver with the operators of the model and no others, so that only those are linked."""
    calls = "".join(f"  if (resolver->{adder}() != kTfLiteOk) return kTfLiteError;\n" for adder in adders)
    body = f"""#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace app {{

using Resolver = tflite::MicroMutableOpResolver<{len(adders)}>;

inline TfLiteStatus AddOperators(Resolver* resolver) {{
{calls}  return kTfLiteOk;
}}

}}  // namespace app
"""
    return _header("OPERATORS", body)


def stored(values: NDArray[np.float32], tensor: Tensor) -> NDArray[np.integer]:
    """Real values as an integer tensor of the model holds them."""
    scale, zero_point = _scaling(tensor)
    return quantize(values, tensor.dtype, scale=scale, zero_point=zero_point)


def _scaling(tensor: Tensor) -> tuple[float, int]:
    return (tensor.scales[0], tensor.zero_points[0]) if tensor.scales else (1.0, 0)


def _numbers(values: Iterable[int]) -> str:
    """Numbers in lines, each followed by a comma."""
    words = [f"{value}," for value in values]
    return "".join(f"    {''.join(words[at : at + _PER_LINE])}\n" for at in range(0, len(words), _PER_LINE))


def _header(name: str, body: str) -> str:
    guard = f"APP_{name}_H_"
    return f"#ifndef {guard}\n#define {guard}\n\n{body}\n#endif  // {guard}\n"
