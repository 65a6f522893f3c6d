// Drives the app's files that need no Android, on a JVM: what a phone computes with them before and after the model.

package app.classifier

import java.io.DataOutputStream
import java.io.File
import java.io.OutputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder

private fun little(values: FloatArray): ByteArray {
    val buffer = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
    values.forEach(buffer::putFloat)
    return buffer.array()
}

private fun texts(texts: List<String>, out: OutputStream) = DataOutputStream(out).use { data ->
    for (text in texts) {
        val content = text.encodeToByteArray()
        data.writeInt(content.size)
        data.write(content)
    }
}

/** `FOLDER labels`, `FOLDER inputs IMAGES`, `FOLDER stored`, or `FOLDER check WRONG`: what the folder's bundle makes. */
fun main(arguments: Array<String>) {
    val folder = File(arguments[0])
    val description = readDescription(folder.resolve("app.json").readText())
    val golden = { readGolden(folder.resolve("golden.bin").inputStream(), description.contract, description.labels.size) }
    when (arguments[1]) {
        "labels" -> texts(listOf(description.name) + description.labels, System.out)
        "inputs" -> {
            val bare = readGolden(File(arguments[2]).inputStream(), description.contract, 0)
            bare.forEach { System.out.write(little(prepared(it.image, description.contract))) }
        }
        "stored" -> golden().forEach {
            System.out.write(description.input.stored(it.input))
            System.out.write(little(description.input.real(description.input.stored(it.input))))
        }
        "check" -> {
            val off = arguments[2].toFloat()
            val answers = golden().iterator()
            val found = checked(golden(), description.contract, description.tolerance) {
                answers.next().output.also { output -> output[0] += off }
            }
            println(found.map { it.ok })
        }
    }
    System.out.flush()
}
