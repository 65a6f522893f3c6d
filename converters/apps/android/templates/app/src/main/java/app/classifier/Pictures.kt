package app.classifier

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Matrix
import android.net.Uri
import androidx.exifinterface.media.ExifInterface

private const val MAX_PIXELS = 64_000_000L

/** A bitmap's pixels; transparency is laid on black. */
fun imageOf(bitmap: Bitmap): Image {
    val pixels = IntArray(bitmap.width * bitmap.height)
    bitmap.getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
    val rgb = ByteArray(pixels.size * 3)
    pixels.forEachIndexed { at, color ->
        val alpha = color ushr 24
        for (channel in 0..2) {
            val value = (color shr (16 - 8 * channel)) and 0xff
            rgb[at * 3 + channel] = ((value * alpha + 127) / 255).toByte()
        }
    }
    return Image(bitmap.width, bitmap.height, rgb)
}

/** A picture of the gallery at its own size: upright by its EXIF tag where the contract says so. */
fun pictureAt(address: Uri, resolver: ContentResolver, contract: Contract): Bitmap {
    fun decoded(options: BitmapFactory.Options): Bitmap? =
        resolver.openInputStream(address).use { BitmapFactory.decodeStream(it, null, options) }
    val size = BitmapFactory.Options().apply { inJustDecodeBounds = true }
    decoded(size)
    check(size.outWidth > 0) { "This is no picture that Android can read." }
    check(size.outWidth.toLong() * size.outHeight <= MAX_PIXELS) { "${size.outWidth} x ${size.outHeight} pixels are too many." }
    val bitmap = checkNotNull(decoded(BitmapFactory.Options())) { "This is no picture that Android can read." }
    if (!contract.exif) return bitmap
    val stream = resolver.openInputStream(address) ?: return bitmap
    val orientation = stream.use {
        ExifInterface(it).getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)
    }
    return upright(bitmap, orientation)
}

private fun upright(bitmap: Bitmap, orientation: Int): Bitmap {
    val matrix = Matrix()
    when (orientation) {
        ExifInterface.ORIENTATION_FLIP_HORIZONTAL -> matrix.postScale(-1f, 1f)
        ExifInterface.ORIENTATION_ROTATE_180 -> matrix.postRotate(180f)
        ExifInterface.ORIENTATION_FLIP_VERTICAL -> matrix.postScale(1f, -1f)
        ExifInterface.ORIENTATION_TRANSPOSE -> matrix.apply { postRotate(90f); postScale(-1f, 1f) }
        ExifInterface.ORIENTATION_ROTATE_90 -> matrix.postRotate(90f)
        ExifInterface.ORIENTATION_TRANSVERSE -> matrix.apply { postRotate(-90f); postScale(-1f, 1f) }
        ExifInterface.ORIENTATION_ROTATE_270 -> matrix.postRotate(-90f)
        else -> return bitmap
    }
    return Bitmap.createBitmap(bitmap, 0, 0, bitmap.width, bitmap.height, matrix, false)
}
