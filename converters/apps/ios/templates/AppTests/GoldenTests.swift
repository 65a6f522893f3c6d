import XCTest

@testable import Classifier

/// This device makes the golden inputs of the golden images, and of those the golden outputs.
final class GoldenTests: XCTestCase {
    func testEveryGoldenTensorIsMet() throws {
        let found = try Classifier().check()
        XCTAssertFalse(found.isEmpty)
        for each in found {
            XCTAssertTrue(each.ok, "input off by \(each.inputOff), output by \(each.outputOff)")
        }
    }
}
