import Foundation

// From an RGB image of any size to the model's input, as the contract in app.json says.
//
// The resampling repeats Pillow's, to the bit: Core Graphics has another kernel. Nothing here needs a phone.

/// How pixels become the model's input; mean and std have one number for each channel, or one for all.
public struct Contract: Codable, Sendable {
    public let height: Int
    public let width: Int
    public let channels: String
    public let resize: String
    public let crop_fraction: Double
    public let kernel: String
    public let exif: Bool
    public let scale: Double
    public let mean: [Double]
    public let std: [Double]

    public var depth: Int { channels == "gray" ? 1 : 3 }
}

/// An image: 3 bytes a pixel, row by row.
public struct Image: Sendable {
    public let width: Int
    public let height: Int
    public let rgb: [UInt8]

    public init(width: Int, height: Int, rgb: [UInt8]) {
        self.width = width
        self.height = height
        self.rgb = rgb
    }
}

private let precision = 22  // bits of a weight behind the point
private let half: Int32 = 1 << 21
private let one: Int32 = 1 << 22

/// What one pixel of a side is made of: source pixels from `first` on, and their weights in units of 2^-22.
private struct Taps {
    let first: Int
    let weights: [Int32]
}

private func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(x * Double.pi) / (x * Double.pi) }

private func support(_ kernel: String) -> Double {
    switch kernel {
    case "bilinear": return 1
    case "bicubic": return 2
    default: return 3
    }
}

private func weight(_ kernel: String, _ x: Double) -> Double {
    switch kernel {
    case "bilinear": return x < 1 ? 1 - x : 0
    case "bicubic":
        if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
        return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0
    default: return x < 3 ? sinc(x) * sinc(x / 3) : 0
    }
}

/// Taps of `out` pixels that cover a part of a side of `size` pixels.
private func taps(size: Int, out: Int, part: (Double, Double), kernel: String) -> [Taps] {
    // Pillow holds the two ends as 32-bit floats, and their difference.
    let from = Float(part.0)
    let end = Float(part.1)
    let scale = Double(end - from) / Double(out)
    if size == out && from == 0 && end == Float(out) {
        return (0..<out).map { Taps(first: $0, weights: [one]) }
    }
    if kernel == "nearest" {
        var at = Double(from) + scale * 0.5
        return (0..<out).map { _ in
            let first = min(Int(at), size - 1)
            at += scale
            return Taps(first: first, weights: [one])
        }
    }
    let spread = max(scale, 1)
    let reach = support(kernel) * spread
    return (0..<out).map { place in
        let center = Double(from) + (Double(place) + 0.5) * scale
        let first = max(0, Int(center - reach + 0.5))
        let last = min(size, Int(center + reach + 0.5))
        let raw = (first..<last).map { weight(kernel, abs((Double($0) - center + 0.5) * (1 / spread))) }
        let sum = raw.reduce(0, +)
        return Taps(
            first: first,
            weights: raw.map { part in
                let value = (sum == 0 ? part : part / sum) * Double(one)
                return Int32(value < 0 ? value - 0.5 : value + 0.5)
            })
    }
}

private func clip(_ sum: Int32) -> UInt8 { UInt8(min(255, max(0, sum >> precision))) }

/// Rows `top` to `bottom` of an image, at another width.
private func narrowed(_ image: Image, columns: [Taps], top: Int, bottom: Int) -> Image {
    var out: [UInt8] = []
    out.reserveCapacity(columns.count * (bottom - top) * 3)
    for y in top..<bottom {
        for column in columns {
            var (red, green, blue) = (half, half, half)
            var from = (y * image.width + column.first) * 3
            for weight in column.weights {
                red += Int32(image.rgb[from]) * weight
                green += Int32(image.rgb[from + 1]) * weight
                blue += Int32(image.rgb[from + 2]) * weight
                from += 3
            }
            out.append(clip(red))
            out.append(clip(green))
            out.append(clip(blue))
        }
    }
    return Image(width: columns.count, height: bottom - top, rgb: out)
}

/// An image at another height; `top` is the row of the source at which `image` begins.
private func lowered(_ image: Image, rows: [Taps], top: Int) -> Image {
    let stride = image.width * 3
    var out: [UInt8] = []
    out.reserveCapacity(stride * rows.count)
    for row in rows {
        var sums = [Int32](repeating: half, count: stride)
        for (place, weight) in row.weights.enumerated() {
            let from = (row.first - top + place) * stride
            for x in 0..<stride { sums[x] += Int32(image.rgb[from + x]) * weight }
        }
        out.append(contentsOf: sums.map(clip))
    }
    return Image(width: image.width, height: rows.count, rgb: out)
}

/// The part of an image between `across` and `down` (begin, end), at another size.
private func resized(
    _ image: Image, width: Int, height: Int, across: (Double, Double), down: (Double, Double), kernel: String
) -> Image {
    let columns = taps(size: image.width, out: width, part: across, kernel: kernel)
    let rows = taps(size: image.height, out: height, part: down, kernel: kernel)
    // Pillow (since 13) blends rows before columns where the height shrinks by more than twice what the width does.
    let shrinks = image.height - height
    if shrinks > 0 && shrinks > (image.width - width) * 2 {
        return narrowed(lowered(image, rows: rows, top: 0), columns: columns, top: 0, bottom: height)
    }
    let top = rows.map { $0.first }.min() ?? 0
    let bottom = rows.map { $0.first + $0.weights.count }.max() ?? 0
    return lowered(narrowed(image, columns: columns, top: top, bottom: bottom), rows: rows, top: top)
}

private func rounded(_ value: Double) -> Double { value.rounded(.toNearestOrEven) }

/// Where the middle `size` pixels of a side that grows by `ratio` begin and end on the original side.
private func middle(length: Int, size: Int, ratio: Double) -> (Double, Double) {
    let grown = max(Double(size), rounded(Double(length) * ratio))
    let start = ((grown - Double(size)) / 2).rounded(.down)
    return (start * Double(length) / grown, (start + Double(size)) * Double(length) / grown)
}

private func stretched(_ image: Image, width: Int, height: Int, kernel: String) -> Image {
    resized(
        image, width: width, height: height, across: (0, Double(image.width)), down: (0, Double(image.height)),
        kernel: kernel)
}

private func padded(_ image: Image, _ contract: Contract) -> Image {
    let ratio = min(
        Double(contract.width) / Double(image.width), Double(contract.height) / Double(image.height))
    let width = max(1, Int(rounded(Double(image.width) * ratio)))
    let height = max(1, Int(rounded(Double(image.height) * ratio)))
    let small = stretched(image, width: width, height: height, kernel: contract.kernel)
    var out = [UInt8](repeating: 0, count: contract.width * contract.height * 3)
    let left = (contract.width - width) / 2
    let top = (contract.height - height) / 2
    for y in 0..<height {
        let to = ((top + y) * contract.width + left) * 3
        out.replaceSubrange(to..<to + width * 3, with: small.rgb[y * width * 3..<(y + 1) * width * 3])
    }
    return Image(width: contract.width, height: contract.height, rgb: out)
}

private func fitted(_ image: Image, _ contract: Contract) -> Image {
    switch contract.resize {
    case "pad": return padded(image, contract)
    case "stretch":
        return stretched(image, width: contract.width, height: contract.height, kernel: contract.kernel)
    default:
        let grows = max(
            Double(contract.width) / Double(image.width), Double(contract.height) / Double(image.height))
        let ratio = grows / contract.crop_fraction
        return resized(
            image, width: contract.width, height: contract.height,
            across: middle(length: image.width, size: contract.width, ratio: ratio),
            down: middle(length: image.height, size: contract.height, ratio: ratio), kernel: contract.kernel)
    }
}

/// What the model takes for each value of a pixel, by channel; in 32-bit floats, step by step, as numpy does.
private func tables(_ contract: Contract) -> [[Float]] {
    (0..<contract.depth).map { channel in
        let mean = Float(contract.mean.count == 1 ? contract.mean[0] : contract.mean[channel])
        let std = Float(contract.std.count == 1 ? contract.std[0] : contract.std[channel])
        return (0..<256).map { pixel in
            let scaled = Float(pixel) * Float(contract.scale)
            return (scaled - mean) / std
        }
    }
}

/// The model's input: height x width x channels.
public func prepared(_ image: Image, _ contract: Contract) -> [Float] {
    let pixels = fitted(image, contract).rgb
    let table = tables(contract)
    var input: [Float] = []
    input.reserveCapacity(contract.width * contract.height * contract.depth)
    for at in stride(from: 0, to: pixels.count, by: 3) {
        let (red, green, blue) = (Int(pixels[at]), Int(pixels[at + 1]), Int(pixels[at + 2]))
        if contract.channels == "gray" {
            input.append(table[0][(red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16])  // ITU-R 601-2 luma
            continue
        }
        let (first, last) = contract.channels == "bgr" ? (blue, red) : (red, blue)
        input.append(table[0][first])
        input.append(table[1][green])
        input.append(table[2][last])
    }
    return input
}
