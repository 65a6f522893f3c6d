import Foundation

/// Type, scale and zero point of the model's input or output: real value = (stored - zero point) * scale.
public struct Port: Codable, Sendable {
    public let dtype: String
    public let scale: Float
    public let zero_point: Int

    /// Real values as an integer tensor holds them, rounded as numpy does.
    public func stored(_ values: [Float]) -> [UInt8] {
        let (low, high) = dtype == "uint8" ? (Float(0), Float(255)) : (Float(-128), Float(127))
        return values.map { value in
            let steps = (value / scale).rounded(.toNearestOrEven) + Float(zero_point)
            return UInt8(truncatingIfNeeded: Int(min(high, max(low, steps))))
        }
    }

    /// What stored values stand for.
    public func real(_ stored: [UInt8]) -> [Float] {
        stored.map { byte in
            let value = dtype == "uint8" ? Int(byte) : Int(Int8(bitPattern: byte))
            return Float(value - zero_point) * scale
        }
    }
}

/// What app.json says of the model.
public struct Description: Codable, Sendable {
    public let name: String
    public let labels: [String]
    public let preprocess: Contract
    public let probabilities: Bool
    public let tolerance: Float
    public let input: Port
    public let output: Port

    public static func read(_ json: Data) throws -> Description {
        try JSONDecoder().decode(Description.self, from: json)
    }

    /// Scores in 0...1: those of a model that ends in logits go through a softmax.
    public func shares(_ scores: [Float]) -> [Float] {
        if probabilities { return scores }
        let most = scores.max() ?? 0
        let powers = scores.map { exp($0 - most) }
        let sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
    }
}
