import ImageIO
import Preparation
import UIKit

private let maxPixels = 64_000_000

/// A picture's file as an image: upright by its EXIF tag where the contract says so, transparency on black.
func image(of content: Data, _ contract: Contract) -> Preparation.Image? {
    guard let source = CGImageSourceCreateWithData(content as CFData, nil),
        let picture = CGImageSourceCreateImageAtIndex(source, 0, nil)
    else { return nil }
    let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any]
    let tag = (properties?[kCGImagePropertyOrientation] as? UInt32).flatMap(CGImagePropertyOrientation.init)
    return image(of: picture, turned: contract.exif ? tag ?? .up : .up)
}

/// The pixels of an image at its own size; colours are not converted.
func image(of picture: CGImage, turned orientation: CGImagePropertyOrientation) -> Preparation.Image? {
    let upright = CIImage(cgImage: picture, options: [.colorSpace: NSNull()]).oriented(orientation)
    let (width, height) = (Int(upright.extent.width), Int(upright.extent.height))
    guard width > 0, height > 0, width <= maxPixels / height else { return nil }
    var rgba = [UInt8](repeating: 0, count: width * height * 4)
    // Colours come premultiplied by their transparency: as they lie on black.
    CIContext(options: [.workingColorSpace: NSNull(), .outputColorSpace: NSNull()]).render(
        upright, toBitmap: &rgba, rowBytes: width * 4, bounds: upright.extent, format: .RGBA8, colorSpace: nil)
    var rgb = [UInt8](repeating: 0, count: width * height * 3)
    for pixel in 0..<width * height {
        for channel in 0..<3 { rgb[pixel * 3 + channel] = rgba[pixel * 4 + channel] }
    }
    return Preparation.Image(width: width, height: height, rgb: rgb)
}
