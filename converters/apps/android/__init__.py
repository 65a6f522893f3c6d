"""The app for Android: a Gradle project in Kotlin, with CameraX and LiteRT."""
