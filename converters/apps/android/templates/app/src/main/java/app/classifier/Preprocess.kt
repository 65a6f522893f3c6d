package app.classifier

import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sin

/*
 * From an RGB image of any size to the model's input, as the contract in app.json says.
 *
 * The resampling repeats Pillow's, to the bit: a Bitmap's own scaling has another kernel. Nothing here needs Android.
 */

/** How pixels become the model's input; mean and std have one number for each channel, or one for all. */
class Contract(
    val height: Int,
    val width: Int,
    val channels: String,
    val resize: String,
    val cropFraction: Double,
    val kernel: String,
    val exif: Boolean,
    val scale: Double,
    val mean: List<Double>,
    val std: List<Double>,
) {
    val depth: Int get() = if (channels == "gray") 1 else 3
}

/** An image: 3 bytes a pixel, row by row. */
class Image(val width: Int, val height: Int, val rgb: ByteArray)

private const val PRECISION = 22 // bits of a weight behind the point
private const val HALF = 1 shl (PRECISION - 1)
private const val ONE = 1 shl PRECISION

/** What one pixel of a side is made of: source pixels from `first` on, and their weights in units of 2^-22. */
private class Taps(val first: Int, val weights: IntArray)

private fun sinc(x: Double): Double = if (x == 0.0) 1.0 else sin(x * PI) / (x * PI)

private fun support(kernel: String): Double = when (kernel) {
    "bilinear" -> 1.0
    "bicubic" -> 2.0
    else -> 3.0
}

private fun weight(kernel: String, x: Double): Double = when (kernel) {
    "bilinear" -> if (x < 1) 1 - x else 0.0
    "bicubic" -> when {
        x < 1 -> (1.5 * x - 2.5) * x * x + 1
        x < 2 -> (((x - 5) * x + 8) * x - 4) * -0.5
        else -> 0.0
    }
    else -> if (x < 3) sinc(x) * sinc(x / 3) else 0.0
}

/** Taps of `out` pixels that cover `begin` … `end` of a side of `size` pixels. */
private fun taps(size: Int, out: Int, begin: Double, end: Double, kernel: String): List<Taps> {
    // Pillow holds the two ends as 32-bit floats, and their difference.
    val from = begin.toFloat()
    val scale = (end.toFloat() - from).toDouble() / out
    if (size == out && from == 0f && end.toFloat() == out.toFloat()) {
        return List(out) { Taps(it, intArrayOf(ONE)) }
    }
    if (kernel == "nearest") {
        var at = from + scale * 0.5
        return List(out) {
            val first = min(at.toInt(), size - 1)
            at += scale
            Taps(first, intArrayOf(ONE))
        }
    }
    val spread = max(scale, 1.0)
    val reach = support(kernel) * spread
    return List(out) { place ->
        val center = from + (place + 0.5) * scale
        val first = max(0, (center - reach + 0.5).toInt())
        val last = min(size, (center + reach + 0.5).toInt())
        val raw = DoubleArray(last - first) { weight(kernel, abs((it + first - center + 0.5) * (1 / spread))) }
        var sum = 0.0
        for (each in raw) sum += each
        val weights = IntArray(raw.size) {
            val value = (if (sum == 0.0) raw[it] else raw[it] / sum) * ONE
            (if (value < 0) value - 0.5 else value + 0.5).toInt()
        }
        Taps(first, weights)
    }
}

private fun clip(sum: Int): Byte = (sum shr PRECISION).coerceIn(0, 255).toByte()

private fun Byte.pixel(): Int = toInt() and 0xff

/** Rows `top` until `bottom` of an image, at another width. */
private fun narrowed(image: Image, columns: List<Taps>, top: Int, bottom: Int): Image {
    val out = ByteArray(columns.size * (bottom - top) * 3)
    var at = 0
    for (y in top until bottom) {
        for (column in columns) {
            var red = HALF
            var green = HALF
            var blue = HALF
            var from = (y * image.width + column.first) * 3
            for (weight in column.weights) {
                red += image.rgb[from++].pixel() * weight
                green += image.rgb[from++].pixel() * weight
                blue += image.rgb[from++].pixel() * weight
            }
            out[at++] = clip(red)
            out[at++] = clip(green)
            out[at++] = clip(blue)
        }
    }
    return Image(columns.size, bottom - top, out)
}

/** An image at another height; `top` is the row of the source at which `image` begins. */
private fun lowered(image: Image, rows: List<Taps>, top: Int): Image {
    val stride = image.width * 3
    val out = ByteArray(stride * rows.size)
    val sums = IntArray(stride)
    rows.forEachIndexed { y, row ->
        sums.fill(HALF)
        row.weights.forEachIndexed { i, weight ->
            val from = (row.first - top + i) * stride
            for (x in 0 until stride) sums[x] += image.rgb[from + x].pixel() * weight
        }
        for (x in 0 until stride) out[y * stride + x] = clip(sums[x])
    }
    return Image(image.width, rows.size, out)
}

/** The part of an image between `across` and `down` (begin, end), at another size. */
private fun resized(
    image: Image, width: Int, height: Int, across: Pair<Double, Double>, down: Pair<Double, Double>, kernel: String,
): Image {
    val columns = taps(image.width, width, across.first, across.second, kernel)
    val rows = taps(image.height, height, down.first, down.second, kernel)
    // Pillow (since 13) blends rows before columns where the height shrinks by more than twice what the width does.
    val shrinks = image.height - height
    if (shrinks > 0 && shrinks > (image.width - width) * 2) {
        return narrowed(lowered(image, rows, 0), columns, 0, height)
    }
    val top = rows.minOf { it.first }
    val bottom = rows.maxOf { it.first + it.weights.size }
    return lowered(narrowed(image, columns, top, bottom), rows, top)
}

/** Where the middle `size` pixels of a side that grows by `ratio` begin and end on the original side. */
private fun middle(length: Int, size: Int, ratio: Double): Pair<Double, Double> {
    val grown = max(size.toDouble(), Math.rint(length * ratio))
    val start = floor((grown - size) / 2)
    return Pair(start * length / grown, (start + size) * length / grown)
}

private fun padded(image: Image, contract: Contract): Image {
    val ratio = min(contract.width.toDouble() / image.width, contract.height.toDouble() / image.height)
    val width = max(1, Math.rint(image.width * ratio).toInt())
    val height = max(1, Math.rint(image.height * ratio).toInt())
    val small = stretched(image, width, height, contract.kernel)
    val out = ByteArray(contract.width * contract.height * 3)
    val left = (contract.width - width) / 2
    val top = (contract.height - height) / 2
    for (y in 0 until height) {
        small.rgb.copyInto(out, ((top + y) * contract.width + left) * 3, y * width * 3, (y + 1) * width * 3)
    }
    return Image(contract.width, contract.height, out)
}

private fun stretched(image: Image, width: Int, height: Int, kernel: String): Image =
    resized(image, width, height, Pair(0.0, image.width.toDouble()), Pair(0.0, image.height.toDouble()), kernel)

private fun fitted(image: Image, contract: Contract): Image = when (contract.resize) {
    "pad" -> padded(image, contract)
    "stretch" -> stretched(image, contract.width, contract.height, contract.kernel)
    else -> {
        val grows = max(contract.width.toDouble() / image.width, contract.height.toDouble() / image.height)
        val ratio = grows / contract.cropFraction
        val across = middle(image.width, contract.width, ratio)
        val down = middle(image.height, contract.height, ratio)
        resized(image, contract.width, contract.height, across, down, contract.kernel)
    }
}

/** What the model takes for each value of a pixel, by channel; in 32-bit floats, step by step, as numpy does. */
private fun tables(contract: Contract): List<FloatArray> = List(contract.depth) { channel ->
    val mean = contract.mean[if (contract.mean.size == 1) 0 else channel].toFloat()
    val std = contract.std[if (contract.std.size == 1) 0 else channel].toFloat()
    FloatArray(256) { (it.toFloat() * contract.scale.toFloat() - mean) / std }
}

/** The model's input: height x width x channels. */
fun prepared(image: Image, contract: Contract): FloatArray {
    val pixels = fitted(image, contract).rgb
    val table = tables(contract)
    val input = FloatArray(contract.width * contract.height * contract.depth)
    for (at in 0 until contract.width * contract.height) {
        val red = pixels[at * 3].pixel()
        val green = pixels[at * 3 + 1].pixel()
        val blue = pixels[at * 3 + 2].pixel()
        when (contract.channels) {
            "gray" -> input[at] = table[0][(red * 19595 + green * 38470 + blue * 7471 + 0x8000) shr 16] // ITU-R 601-2 luma
            else -> {
                val (first, last) = if (contract.channels == "bgr") Pair(blue, red) else Pair(red, blue)
                input[at * 3] = table[0][first]
                input[at * 3 + 1] = table[1][green]
                input[at * 3 + 2] = table[2][last]
            }
        }
    }
    return input
}
