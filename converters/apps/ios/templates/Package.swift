// swift-tools-version:5.9
import PackageDescription

// What comes before the model and after it. It needs neither a phone nor a Mac: `swift test` runs the golden images.
let package = Package(
    name: "Preparation",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Preparation", targets: ["Preparation"])],
    targets: [
        .target(name: "Preparation"),
        .testTarget(name: "PreparationTests", dependencies: ["Preparation"]),
    ]
)
