"""Classifies images with MediaPipe's own `ImageClassifier`: run in an environment that has it and not edgeres.

with_mediapipe.py MODEL.tflite IMAGES.npz    JSON: for each image, the label and score of each class, best first
"""

import json
import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def classified(model: str, images: list) -> list:
    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model), max_results=-1)
    with vision.ImageClassifier.create_from_options(options) as classifier:
        return [
            [
                (each.category_name, each.index, each.score)
                for each in classifier.classify(image).classifications[0].categories
            ]
            for image in images
        ]


def main(model: str, images: str) -> None:
    with np.load(images) as stored:
        pictures = [
            mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(stored[name]))
            for name in stored.files
        ]
    try:
        answer = {"found": classified(model, pictures)}
    except (ValueError, RuntimeError) as refusal:
        answer = {"refused": str(refusal)}
    sys.stdout.write(f"{json.dumps(answer)}\n")


main(*sys.argv[1:])
