package androidx.camera.view

import android.view.View
import androidx.camera.core.Preview

class PreviewView : View() {
    val surfaceProvider: Preview.SurfaceProvider get() = TODO()
}
