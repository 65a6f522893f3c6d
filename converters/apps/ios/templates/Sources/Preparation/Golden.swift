import Foundation

/// One golden tensor: an image, and the input and the output that the model was converted with.
public struct Golden: Sendable {
    public let image: Image
    public let input: [Float]
    public let output: [Float]

    /// The golden tensors of golden.bin; nil where that is not of this app.
    public static func read(_ content: Data, _ description: Description) -> [Golden]? {
        let bytes = [UInt8](content)
        let contract = description.preprocess
        let sizes = (contract.height * contract.width * contract.depth, description.labels.count)
        guard bytes.count >= 12, bytes.starts(with: Array("EDGERES1".utf8)) else { return nil }
        var at = 8
        func word() -> UInt32? {
            guard at + 4 <= bytes.count else { return nil }
            defer { at += 4 }
            return (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * UInt32($1)) }
        }
        func floats(_ count: Int) -> [Float]? {
            guard at + 4 * count <= bytes.count else { return nil }
            return (0..<count).compactMap { _ in word().map { Float(bitPattern: $0) } }
        }
        var found: [Golden] = []
        for _ in 0..<(word() ?? 0) {
            guard let height = word().map(Int.init), let width = word().map(Int.init) else { return nil }
            let (count, over) = height.multipliedReportingOverflow(by: width * 3)
            guard !over, at + count <= bytes.count else { return nil }
            let image = Image(width: width, height: height, rgb: Array(bytes[at..<at + count]))
            at += count
            guard let input = floats(sizes.0), let output = floats(sizes.1) else { return nil }
            found.append(Golden(image: image, input: input, output: output))
        }
        return found
    }
}

/// How far a device is from a golden tensor, and whether that is accepted.
public struct Found: Sendable {
    public let inputOff: Float
    public let outputOff: Float
    public let ok: Bool
}

private func off(_ a: [Float], _ b: [Float]) -> Float {
    if a.count != b.count { return .infinity }
    let differences = zip(a, b).map { abs($0 - $1) }
    return differences.contains { $0.isNaN } ? .nan : differences.max() ?? 0
}

/// Runs every golden tensor: the preprocessing on its image, the model (`run`) on its input.
public func checked(
    _ golden: [Golden], _ description: Description, run: ([Float]) throws -> [Float]
) rethrows -> [Found] {
    try golden.map { each in
        let inputOff = off(prepared(each.image, description.preprocess), each.input)
        let outputOff = off(try run(each.input), each.output)
        let largest = each.input.reduce(1) { max($0, abs($1)) }
        return Found(
            inputOff: inputOff, outputOff: outputOff,
            ok: inputOff <= 1e-5 * largest && outputOff <= description.tolerance)
    }
}
