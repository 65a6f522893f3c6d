package androidx.camera.core

import android.graphics.Bitmap
import java.util.concurrent.Executor

open class UseCase

interface ImageProxy : AutoCloseable {
    fun toBitmap(): Bitmap
}

class CameraSelector {
    companion object {
        @JvmField val DEFAULT_BACK_CAMERA = CameraSelector()
    }
}

class Preview : UseCase() {
    interface SurfaceProvider

    var surfaceProvider: SurfaceProvider? = null

    class Builder {
        fun build() = Preview()
    }
}

class ImageAnalysis : UseCase() {
    fun interface Analyzer {
        fun analyze(image: ImageProxy)
    }

    fun setAnalyzer(executor: Executor, analyzer: Analyzer) = Unit

    class Builder {
        fun setOutputImageFormat(format: Int) = this
        fun setOutputImageRotationEnabled(enabled: Boolean) = this
        fun setBackpressureStrategy(strategy: Int) = this
        fun build() = ImageAnalysis()
    }

    companion object {
        const val OUTPUT_IMAGE_FORMAT_RGBA_8888 = 2
        const val STRATEGY_KEEP_ONLY_LATEST = 0
    }
}
