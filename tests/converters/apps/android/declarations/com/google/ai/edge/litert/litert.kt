package com.google.ai.edge.litert

import android.content.res.AssetManager

enum class Accelerator { NONE, CPU, GPU, NPU }

class Environment

class TensorBuffer : AutoCloseable {
    fun writeFloat(data: FloatArray) = Unit
    fun writeInt8(data: ByteArray) = Unit
    fun readFloat(): FloatArray = TODO()
    fun readInt8(): ByteArray = TODO()
    override fun close() = Unit
}

class CompiledModel : AutoCloseable {
    class Options(vararg accelerators: Accelerator)

    fun createInputBuffers(): List<TensorBuffer> = TODO()
    fun createOutputBuffers(): List<TensorBuffer> = TODO()
    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>) = Unit
    override fun close() = Unit

    companion object {
        @JvmStatic
        fun create(assets: AssetManager, name: String, options: Options, environment: Environment?): CompiledModel = TODO()
    }
}
