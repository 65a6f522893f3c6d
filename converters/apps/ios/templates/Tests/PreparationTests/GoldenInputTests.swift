import XCTest

@testable import Preparation

/// This compiler and processor make the golden inputs of the golden images. The outputs need the app's own tests.
final class GoldenInputTests: XCTestCase {
    func testEveryGoldenInputIsMade() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let resources = root.deletingLastPathComponent().appendingPathComponent("App/Resources")
        func content(_ name: String) throws -> Data { try Data(contentsOf: resources.appendingPathComponent(name)) }
        let description = try Description.read(try content("app.json"))
        let golden = try XCTUnwrap(Golden.read(try content("golden.bin"), description))
        XCTAssertFalse(golden.isEmpty)
        var outputs = golden.map { $0.output }
        for found in checked(golden, description, run: { _ in outputs.removeFirst() }) {
            XCTAssertTrue(found.ok, "input off by \(found.inputOff)")
        }
    }
}
