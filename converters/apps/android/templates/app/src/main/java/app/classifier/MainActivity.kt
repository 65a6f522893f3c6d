package app.classifier

import android.Manifest
import android.content.pm.PackageManager
import android.graphics.Bitmap
import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.ImageView
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts
import androidx.camera.core.CameraSelector
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy
import androidx.camera.core.Preview
import androidx.camera.lifecycle.ProcessCameraProvider
import androidx.camera.view.PreviewView
import androidx.core.content.ContextCompat
import java.util.Locale
import java.util.concurrent.Executors

private const val BEST = 5

/** The screen: the camera or a picture in, the five best classes out. The model has one thread of its own. */
class MainActivity : ComponentActivity() {
    private val worker = Executors.newSingleThreadExecutor()
    private lateinit var classifier: Classifier
    private var cameras: ProcessCameraProvider? = null

    private val askForCamera = registerForActivityResult(ActivityResultContracts.RequestPermission()) { granted ->
        if (granted) watch() else say(getString(R.string.camera_refused))
    }
    private val askForPicture = registerForActivityResult(ActivityResultContracts.PickVisualMedia()) { address ->
        if (address != null) {
            stop()
            inBackground {
                val bitmap = pictureAt(address, contentResolver, classifier.description.contract)
                show(bitmap)
                runOnUiThread { view<ImageView>(R.id.picture).apply { setImageBitmap(bitmap); visibility = View.VISIBLE } }
            }
        }
    }

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(R.layout.main)
        view<Button>(R.id.camera).setOnClickListener { if (cameras == null) begin() else stop() }
        view<Button>(R.id.gallery).setOnClickListener {
            askForPicture.launch(PickVisualMediaRequest(ActivityResultContracts.PickVisualMedia.ImageOnly))
        }
        view<Button>(R.id.check).setOnClickListener { inBackground { showCheck() } }
        inBackground {
            classifier = Classifier(this)
            runOnUiThread { view<TextView>(R.id.name).text = classifier.description.name }
            say(getString(R.string.ready, classifier.accelerator.name))
        }
    }

    override fun onDestroy() {
        worker.execute { if (::classifier.isInitialized) classifier.close() }
        worker.shutdown()
        super.onDestroy()
    }

    private fun begin() {
        val granted = ContextCompat.checkSelfPermission(this, Manifest.permission.CAMERA)
        if (granted == PackageManager.PERMISSION_GRANTED) watch() else askForCamera.launch(Manifest.permission.CAMERA)
    }

    private fun watch() {
        val coming = ProcessCameraProvider.getInstance(this)
        coming.addListener({
            val provider = coming.get()
            val preview = Preview.Builder().build()
            preview.surfaceProvider = view<PreviewView>(R.id.preview).surfaceProvider
            val analysis = ImageAnalysis.Builder()
                .setOutputImageFormat(ImageAnalysis.OUTPUT_IMAGE_FORMAT_RGBA_8888)
                .setOutputImageRotationEnabled(true)
                .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
                .build()
            analysis.setAnalyzer(worker, ::look)
            provider.unbindAll()
            provider.bindToLifecycle(this, CameraSelector.DEFAULT_BACK_CAMERA, preview, analysis)
            cameras = provider
            view<ImageView>(R.id.picture).visibility = View.GONE
            view<Button>(R.id.camera).setText(R.string.stop)
        }, ContextCompat.getMainExecutor(this))
    }

    private fun stop() {
        cameras?.unbindAll()
        cameras = null
        view<Button>(R.id.camera).setText(R.string.camera)
    }

    private fun look(frame: ImageProxy) = frame.use { if (::classifier.isInitialized) show(it.toBitmap()) }

    private fun show(bitmap: Bitmap) {
        val began = System.nanoTime()
        val shares = classifier.classify(imageOf(bitmap))
        val took = (System.nanoTime() - began) / 1e6
        val best = shares.indices.sortedByDescending { shares[it] }.take(BEST)
        // Labels are set as text and never as anything else.
        val lines = best.map { String.format(Locale.ROOT, "%5.1f %%  ", shares[it] * 100) + classifier.description.labels[it] }
        say(lines.joinToString("\n") + String.format(Locale.ROOT, "\n%.1f ms, ", took) + classifier.accelerator.name)
    }

    private fun showCheck() {
        val found = classifier.check()
        val right = found.isNotEmpty() && found.all { it.ok }
        val verdict = getString(if (right) R.string.check_right else R.string.check_wrong)
        say(verdict + found.joinToString("") { "\n${it.inputOff}, ${it.outputOff}: ${if (it.ok) "ok" else "WRONG"}" })
    }

    private fun inBackground(work: () -> Unit) = worker.execute {
        try {
            work()
        } catch (problem: Exception) {
            say(problem.message ?: problem.toString())
        }
    }

    private fun say(text: String) = runOnUiThread { view<TextView>(R.id.answer).text = text }

    private fun <T : View> view(id: Int): T = findViewById(id)
}
