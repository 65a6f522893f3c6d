"""Keras to int8 for ResNet-50 at 224x224: edgeres against TFLiteConverter.from_keras_model, same images.

    python -m benchmarks.conversion [--pairs 6] [--images 32]

Both start from the same tf_keras model in memory and end with the bytes of a full-integer flatbuffer.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from benchmarks.paired import compare, record, save
from converters.export import to_flatbuffer
from converters.quantization.post_training import quantize
from edgeres.models import find_network
from edgeres.native_output import muted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--images", type=int, default=32)
    options = parser.parse_args()

    tf.keras.utils.set_random_seed(0)
    model = find_network("resnet50").build()
    random = np.random.default_rng(0)
    images = [random.uniform(0, 255, (1, 224, 224, 3)).astype(np.float32) for _ in range(options.images)]
    sizes: dict[str, int] = {}

    def ours() -> None:
        sizes["edgeres"] = len(quantize(to_flatbuffer(model), "int8", images=images))

    def theirs() -> None:
        def representative() -> Iterator[list[np.ndarray]]:
            yield from ([image] for image in images)

        with muted():
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = representative
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
            sizes["tensorflow"] = len(converter.convert())

    found = compare(theirs, ours, pairs=options.pairs)
    ratio = found.ratio
    print(f"edgeres is {ratio.value:.2f}x faster [{ratio.low:.2f}, {ratio.high:.2f}]; bytes: {sizes}")
    save(
        "conversion", {"images": options.images, "size_bytes": sizes, "from_keras_model_against_edgeres": record(found)}
    )


if __name__ == "__main__":
    main()
