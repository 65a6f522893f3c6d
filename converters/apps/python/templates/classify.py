"""Classifies pictures with model.tflite: `classify.py PICTURE…`; `classify.py --check` runs the golden tensors."""

import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    from tflite_runtime.interpreter import Interpreter

HERE = Path(__file__).resolve().parent
APP = json.loads((HERE / "app.json").read_text(encoding="ascii"))
CONTRACT = APP["preprocess"]
WIDTH, HEIGHT = CONTRACT["width"], CONTRACT["height"]
KERNEL = Image.Resampling[CONTRACT["kernel"].upper()]
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
INTERPRETER = Interpreter(model_content=(HERE / "model.tflite").read_bytes())
INTERPRETER.allocate_tensors()
INPUT, OUTPUT = INTERPRETER.get_input_details()[0], INTERPRETER.get_output_details()[0]


def to_rgb(image):
    """Transparency on black, of 16 bits the high byte."""
    if image.mode.startswith("I;16") or image.mode == "I":
        image = Image.fromarray((np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8))
    elif image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    return image.convert("RGB")


def middle(length, size, ratio):
    """Where the middle `size` pixels of a side that grows by `ratio` begin and end on the original side."""
    grown = max(size, round(length * ratio))
    start = (grown - size) // 2
    return start * length / grown, (start + size) * length / grown


def resized(image):
    """An RGB image at the size of the model's input."""
    if CONTRACT["resize"] == "stretch":
        return image if image.size == (WIDTH, HEIGHT) else image.resize((WIDTH, HEIGHT), KERNEL)
    if CONTRACT["resize"] == "crop":
        ratio = max(WIDTH / image.width, HEIGHT / image.height) / CONTRACT["crop_fraction"]
        (left, right), (top, bottom) = middle(image.width, WIDTH, ratio), middle(image.height, HEIGHT, ratio)
        return image.resize((WIDTH, HEIGHT), KERNEL, box=(left, top, right, bottom))
    ratio = min(WIDTH / image.width, HEIGHT / image.height)
    small = image.resize((max(1, round(image.width * ratio)), max(1, round(image.height * ratio))), KERNEL)
    canvas = Image.new("RGB", (WIDTH, HEIGHT))
    canvas.paste(small, ((WIDTH - small.width) // 2, (HEIGHT - small.height) // 2))
    return canvas


def prepared(image):
    """The model's input, float32 (height, width, channels), for a Pillow image that is upright."""
    image = resized(to_rgb(image))
    values = np.asarray(image.convert("L"))[..., None] if CONTRACT["channels"] == "gray" else np.asarray(image)
    values = (values[..., ::-1] if CONTRACT["channels"] == "bgr" else values).astype(np.float32)
    values *= np.float32(CONTRACT["scale"])
    values -= np.asarray(CONTRACT["mean"], np.float32)
    values /= np.asarray(CONTRACT["std"], np.float32)
    return values


def run(values):
    """Scores, float32 (classes), for an input as `prepared` gives it."""
    scale, zero_point = INPUT["quantization"]
    if INPUT["dtype"] not in (np.float32, np.float16):
        bounds = np.iinfo(INPUT["dtype"])
        values = (np.rint(values / np.float32(scale or 1)) + np.float32(zero_point)).clip(bounds.min, bounds.max)
    INTERPRETER.set_tensor(INPUT["index"], values[None].astype(INPUT["dtype"]))
    INTERPRETER.invoke()
    found = INTERPRETER.get_tensor(OUTPUT["index"])[0]
    scale, zero_point = OUTPUT["quantization"] if found.dtype.kind in "iu" else (1, 0)
    return (found.astype(np.float32) - np.float32(zero_point)) * np.float32(scale or 1)


def scores(content):
    """Scores, float32 (classes), for the bytes of an image file."""
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    return run(prepared(ImageOps.exif_transpose(image) if CONTRACT["exif"] else image))


def probabilities(found):
    """Scores between 0 and 1: those of a model that ends in logits go through a softmax."""
    if APP["probabilities"]:
        return found
    powers = np.exp(found - found.max())
    return powers / powers.sum()


def check():
    """Whether this machine makes the golden inputs of the golden images, and of those the golden outputs."""
    golden = np.load(HERE / "golden.npz")
    fits = True
    for place, (inputs, outputs) in enumerate(zip(golden["inputs"], golden["outputs"])):
        made = np.abs(prepared(Image.fromarray(golden[f"image_{place}"])) - inputs).max()
        came = np.abs(run(inputs) - outputs).max()
        well = made <= 1e-5 * max(1.0, np.abs(golden["inputs"]).max()) and came <= APP["tolerance"]
        print(f"golden {place}: input off by {made:.3g}, output by {came:.3g}: {'ok' if well else 'WRONG'}")
        fits &= bool(well)
    return fits


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--check":
        sys.exit(not check())
    for name in sys.argv[1:]:
        found = probabilities(scores(Path(name).read_bytes()))
        print(name)
        for best in found.argsort(kind="stable")[::-1][:5]:
            print(f"  {found[best]:7.2%}  {APP['labels'][best]}")
