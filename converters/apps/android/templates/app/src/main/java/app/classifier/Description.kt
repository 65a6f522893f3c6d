package app.classifier

import kotlin.math.exp
import org.json.JSONArray
import org.json.JSONObject

/** Type, scale and zero point of the model's input or output: real value = (stored - zeroPoint) * scale. */
class Port(val dtype: String, val scale: Float, val zeroPoint: Int) {
    private val range get() = if (dtype == "uint8") 0..255 else -128..127

    /** Real values as an integer tensor holds them, rounded as numpy does. */
    fun stored(values: FloatArray): ByteArray = ByteArray(values.size) {
        val steps = Math.rint((values[it] / scale).toDouble()) + zeroPoint
        steps.coerceIn(range.first.toDouble(), range.last.toDouble()).toInt().toByte()
    }

    /** What stored values stand for. */
    fun real(stored: ByteArray): FloatArray = FloatArray(stored.size) {
        val value = if (dtype == "uint8") stored[it].toInt() and 0xff else stored[it].toInt()
        (value - zeroPoint) * scale
    }
}

/** What app.json says of the model. */
class Description(
    val name: String,
    val labels: List<String>,
    val contract: Contract,
    val probabilities: Boolean,
    val tolerance: Float,
    val input: Port,
    val output: Port,
)

/** Reads app.json. */
fun readDescription(text: String): Description {
    val all = JSONObject(text)
    val preprocess = all.getJSONObject("preprocess")
    val labels = all.getJSONArray("labels")
    return Description(
        name = all.getString("name"),
        labels = List(labels.length()) { labels.getString(it) },
        contract = Contract(
            height = preprocess.getInt("height"),
            width = preprocess.getInt("width"),
            channels = preprocess.getString("channels"),
            resize = preprocess.getString("resize"),
            cropFraction = preprocess.getDouble("crop_fraction"),
            kernel = preprocess.getString("kernel"),
            exif = preprocess.getBoolean("exif"),
            scale = preprocess.getDouble("scale"),
            mean = numbers(preprocess.getJSONArray("mean")),
            std = numbers(preprocess.getJSONArray("std")),
        ),
        probabilities = all.getBoolean("probabilities"),
        tolerance = all.getDouble("tolerance").toFloat(),
        input = port(all.getJSONObject("input")),
        output = port(all.getJSONObject("output")),
    )
}

private fun numbers(array: JSONArray): List<Double> = List(array.length()) { array.getDouble(it) }

private fun port(values: JSONObject): Port =
    Port(values.getString("dtype"), values.getDouble("scale").toFloat(), values.getInt("zero_point"))

/** Scores in 0…1: those of a model that ends in logits go through a softmax. */
fun shares(scores: FloatArray, description: Description): FloatArray {
    if (description.probabilities) return scores
    val most = scores.max()
    val powers = FloatArray(scores.size) { exp(scores[it] - most) }
    val sum = powers.sum()
    return FloatArray(scores.size) { powers[it] / sum }
}
