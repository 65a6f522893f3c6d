// Drives the package's files without a phone: compiled together with them, it is one module with theirs.

import Foundation

func send<T>(_ values: [T]) { values.withUnsafeBytes { FileHandle.standardOutput.write(Data($0)) } }

func send(_ text: String) {
    let content = Array(text.utf8)
    send([UInt32(content.count).bigEndian])
    send(content)
}

func stripped(_ description: Description) throws -> Description {
    var all = try JSONSerialization.jsonObject(with: JSONEncoder().encode(description)) as! [String: Any]
    all["labels"] = [String]()
    return try Description.read(JSONSerialization.data(withJSONObject: all))
}

/// `FOLDER labels`, `FOLDER inputs IMAGES`, `FOLDER stored`, or `FOLDER check WRONG`: what the folder's bundle makes.
let arguments = CommandLine.arguments
let folder = URL(fileURLWithPath: arguments[1])
let description = try Description.read(Data(contentsOf: folder.appendingPathComponent("app.json")))
let content = try Data(contentsOf: folder.appendingPathComponent("golden.bin"))
switch arguments[2] {
case "labels":
    send(description.name)
    description.labels.forEach(send)
case "inputs":
    let images = try Data(contentsOf: URL(fileURLWithPath: arguments[3]))
    for each in Golden.read(images, try stripped(description))! { send(prepared(each.image, description.preprocess)) }
case "stored":
    for each in Golden.read(content, description)! {
        let stored = description.input.stored(each.input)
        send(stored)
        send(description.input.real(stored))
    }
default:
    guard let golden = Golden.read(content, description) else {
        print("not of this app")
        break
    }
    var outputs = golden.map { $0.output }
    let found = checked(golden, description) { _ in
        var output = outputs.removeFirst()
        output[0] += Float(arguments[3])!
        return output
    }
    print(found.map { $0.ok })
}
