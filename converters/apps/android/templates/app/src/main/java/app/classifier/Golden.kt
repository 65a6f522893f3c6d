package app.classifier

import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs
import kotlin.math.max

/** One golden tensor: an image, and the input and the output that the model was converted with. */
class Golden(val image: Image, val input: FloatArray, val output: FloatArray)

/** How far a device is from a golden tensor, and whether that is accepted. */
class Found(val inputOff: Float, val outputOff: Float, val ok: Boolean)

/** The golden tensors of golden.bin. */
fun readGolden(stream: InputStream, contract: Contract, classes: Int): List<Golden> {
    val buffer = ByteBuffer.wrap(stream.use { it.readBytes() }).order(ByteOrder.LITTLE_ENDIAN)
    val magic = ByteArray(8).also { buffer.get(it) }
    check(magic.decodeToString() == "EDGERES1") { "golden.bin is not of this app" }
    fun floats(count: Int) = FloatArray(count) { buffer.getFloat() }
    return List(buffer.getInt()) {
        val height = buffer.getInt()
        val width = buffer.getInt()
        val image = Image(width, height, ByteArray(width * height * 3).also { pixels -> buffer.get(pixels) })
        Golden(image, floats(contract.height * contract.width * contract.depth), floats(classes))
    }
}

/** The largest difference of two arrays of one length; not a number where a value is none. */
fun off(a: FloatArray, b: FloatArray): Float =
    a.indices.fold(0f) { most, at -> maxOf(most, abs(a[at] - b[at])) }

/** Runs every golden tensor: the preprocessing on its image, the model (`run`) on its input. */
fun checked(golden: List<Golden>, contract: Contract, tolerance: Float, run: (FloatArray) -> FloatArray): List<Found> =
    golden.map { each ->
        val inputOff = off(prepared(each.image, contract), each.input)
        val outputOff = off(run(each.input), each.output)
        val largest = each.input.fold(1f) { most, value -> max(most, abs(value)) }
        Found(inputOff, outputOff, inputOff <= 1e-5f * largest && outputOff <= tolerance)
    }
