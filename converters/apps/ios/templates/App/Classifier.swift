import Foundation
import Preparation
import TensorFlowLite
import TensorFlowLiteCCoreML

/// The model on TensorFlow Lite. Not for several threads at once.
///
/// Core ML is taken for a float model where it gives the golden outputs, else the CPU: a neural engine computes with
/// 16 bits, and nothing but its results says how far that is off.
final class Classifier {
    let description: Description
    /// Where the model runs.
    let accelerator: String
    private let golden: [Golden]
    private let interpreter: Interpreter

    init() throws {
        description = try Description.read(try Data(contentsOf: Classifier.resource("app.json")))
        guard let golden = Golden.read(try Data(contentsOf: Classifier.resource("golden.bin")), description) else {
            throw CocoaError(.fileReadCorruptFile)
        }
        self.golden = golden
        if let found = Classifier.onCoreML(description, golden) {
            (interpreter, accelerator) = (found, "Core ML")
        } else {
            (interpreter, accelerator) = (try Classifier.interpreter(delegates: nil), "CPU")
        }
    }

    private static func resource(_ name: String) throws -> URL {
        guard let url = Bundle.main.url(forResource: name, withExtension: nil) else {
            throw CocoaError(.fileNoSuchFile)
        }
        return url
    }

    private static func interpreter(delegates: [Delegate]?) throws -> Interpreter {
        let made = try Interpreter(modelPath: try resource("model.tflite").path, delegates: delegates)
        try made.allocateTensors()
        return made
    }

    /// An interpreter with the Core ML delegate; nil where there is no neural engine, or it gives other outputs.
    private static func onCoreML(_ description: Description, _ golden: [Golden]) -> Interpreter? {
        guard description.input.dtype == "float32", let delegate = CoreMLDelegate(),
            let made = try? interpreter(delegates: [delegate]),
            let found = try? checked(golden, description, run: { try run(made, description, $0) })
        else { return nil }
        return found.allSatisfy { $0.ok } ? made : nil
    }

    private static func run(_ interpreter: Interpreter, _ description: Description, _ input: [Float]) throws -> [Float] {
        let isFloat = description.input.dtype == "float32"
        try interpreter.copy(
            isFloat ? input.withUnsafeBufferPointer { Data(buffer: $0) } : Data(description.input.stored(input)),
            toInputAt: 0)
        try interpreter.invoke()
        let output = try interpreter.output(at: 0).data
        if description.output.dtype != "float32" { return description.output.real([UInt8](output)) }
        return output.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }

    /// Scores in 0...1, one for each class, of an upright image.
    func classify(_ image: Preparation.Image) throws -> [Float] {
        description.shares(try Classifier.run(interpreter, description, prepared(image, description.preprocess)))
    }

    /// The golden tensors on this device.
    func check() throws -> [Found] {
        try checked(golden, description) { try Classifier.run(interpreter, description, $0) }
    }
}
