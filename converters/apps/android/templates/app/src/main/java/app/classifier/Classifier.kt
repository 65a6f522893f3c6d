package app.classifier

import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel

/**
 * The model on LiteRT. Not for several threads at once.
 *
 * The graphics processor is taken where it gives the golden outputs, else the CPU: some drivers compute wrong, and
 * nothing but their results says so.
 */
class Classifier(context: Context) : AutoCloseable {
    val description = readDescription(context.assets.open("app.json").use { it.readBytes().decodeToString() })
    val golden = readGolden(context.assets.open("golden.bin"), description.contract, description.labels.size)

    /** Where the model runs. */
    var accelerator = Accelerator.GPU
        private set
    private var model: CompiledModel

    init {
        model = onGpu(context) ?: CompiledModel.create(
            context.assets, "model.tflite", CompiledModel.Options(Accelerator.CPU), null,
        ).also { accelerator = Accelerator.CPU }
    }

    private fun onGpu(context: Context): CompiledModel? = try {
        val found = CompiledModel.create(context.assets, "model.tflite", CompiledModel.Options(Accelerator.GPU), null)
        if (checked(golden, description.contract, description.tolerance) { run(found, it) }.all { it.ok }) {
            found
        } else {
            found.close()
            null
        }
    } catch (refused: Exception) { // no such processor, or it lacks an operator
        null
    }

    /** Scores, one for each class, of an input as `prepared` gives it. */
    fun run(input: FloatArray): FloatArray = run(model, input)

    private fun run(model: CompiledModel, input: FloatArray): FloatArray {
        val inputs = model.createInputBuffers()
        val outputs = model.createOutputBuffers()
        try {
            if (description.input.dtype == "float32") {
                inputs[0].writeFloat(input)
            } else {
                inputs[0].writeInt8(description.input.stored(input))
            }
            model.run(inputs, outputs)
            return if (description.output.dtype == "float32") {
                outputs[0].readFloat()
            } else {
                description.output.real(outputs[0].readInt8())
            }
        } finally {
            (inputs + outputs).forEach { it.close() }
        }
    }

    /** Scores in 0…1, one for each class, of an upright image. */
    fun classify(image: Image): FloatArray = shares(run(prepared(image, description.contract)), description)

    /** The golden tensors on this device. */
    fun check(): List<Found> = checked(golden, description.contract, description.tolerance, ::run)

    override fun close() = model.close()
}
