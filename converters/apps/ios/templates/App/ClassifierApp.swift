import PhotosUI
import Preparation
import SwiftUI

@main
struct ClassifierApp: App {
    var body: some Scene {
        WindowGroup { ContentView() }
    }
}

/// What the screen shows. The model has one queue of its own.
@MainActor
final class Screen: ObservableObject {
    @Published var name = "Classifier"
    @Published var lines: [String] = ["Loading the model…"]
    @Published var picture: UIImage?

    private let queue = DispatchQueue(label: "model")
    private nonisolated(unsafe) var classifier: Classifier?  // used on the queue alone

    func load() {
        queue.async { [self] in
            do {
                let made = try Classifier()
                classifier = made
                show(name: made.description.name, ["Ready, on \(made.accelerator)."])
            } catch {
                show(["The model cannot be loaded: \(error.localizedDescription)"])
            }
        }
    }

    func classify(_ content: Data) {
        picture = UIImage(data: content)
        queue.async { [self] in
            guard let classifier else { return }
            guard let image = image(of: content, classifier.description.preprocess) else {
                return show(["This is no picture that this device can read."])
            }
            answer(image, classifier)
        }
    }

    func classify(frame: CGImage) {
        queue.async { [self] in
            guard let classifier, let image = image(of: frame, turned: .up) else { return }
            answer(image, classifier)
        }
    }

    func check() {
        queue.async { [self] in
            guard let found = try? classifier?.check() else { return }
            let right = !found.isEmpty && found.allSatisfy { $0.ok }
            show(
                [right ? "This device gives the golden outputs." : "This device gives other outputs."]
                    + found.map { "\($0.inputOff), \($0.outputOff): \($0.ok ? "ok" : "WRONG")" })
        }
    }

    private nonisolated func answer(_ image: Preparation.Image, _ classifier: Classifier) {
        let began = Date()
        guard let shares = try? classifier.classify(image) else { return show(["The model cannot run here."]) }
        let took = Date().timeIntervalSince(began) * 1000
        let best = shares.indices.sorted { shares[$0] > shares[$1] }.prefix(5)
        let lines = best.map { String(format: "%5.1f %%  ", shares[$0] * 100) + classifier.description.labels[$0] }
        show(lines + [String(format: "%.1f ms, ", took) + classifier.accelerator])
    }

    private nonisolated func show(name: String? = nil, _ lines: [String]) {
        Task { @MainActor in
            self.lines = lines
            if let name { self.name = name }
        }
    }
}

struct ContentView: View {
    @StateObject private var screen = Screen()
    @State private var chosen: PhotosPickerItem?
    @State private var watching = false

    var body: some View {
        VStack(alignment: .leading, spacing: 12) {
            Text(verbatim: screen.name).font(.title2).lineLimit(2)
            if watching {
                CameraView { screen.classify(frame: $0) }
            } else if let picture = screen.picture {
                SwiftUI.Image(uiImage: picture).resizable().scaledToFit().frame(maxHeight: .infinity)
            } else {
                Spacer()
            }
            // Labels are shown as they are: `verbatim` keeps SwiftUI from reading Markdown or a format in them.
            ForEach(Array(screen.lines.enumerated()), id: \.offset) { Text(verbatim: $0.element).lineLimit(2) }
            HStack {
                Button(watching ? "Stop" : "Camera") { watching.toggle() }
                PhotosPicker("Picture", selection: $chosen, matching: .images)
                Button("Check") { screen.check() }
            }
            .buttonStyle(.bordered)
        }
        .padding()
        .onAppear { screen.load() }
        .onChange(of: chosen) { item in
            watching = false
            Task { if let content = try? await item?.loadTransferable(type: Data.self) { screen.classify(content) } }
        }
    }
}
