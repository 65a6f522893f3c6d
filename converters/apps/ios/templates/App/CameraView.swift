import AVFoundation
import CoreImage
import SwiftUI

/// The back camera's picture, and its frames one at a time, upright.
struct CameraView: UIViewRepresentable {
    let onFrame: (CGImage) -> Void

    func makeCoordinator() -> Frames { Frames(onFrame) }

    func makeUIView(context: Context) -> PreviewView {
        let view = PreviewView()
        view.preview.session = context.coordinator.session
        view.preview.videoGravity = .resizeAspect
        context.coordinator.begin()
        return view
    }

    func updateUIView(_ view: PreviewView, context: Context) {}

    static func dismantleUIView(_ view: PreviewView, coordinator: Frames) { coordinator.end() }

    final class PreviewView: UIView {
        override class var layerClass: AnyClass { AVCaptureVideoPreviewLayer.self }
        var preview: AVCaptureVideoPreviewLayer { layer as! AVCaptureVideoPreviewLayer }
    }

    final class Frames: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate {
        let session = AVCaptureSession()
        private let onFrame: (CGImage) -> Void
        private let queue = DispatchQueue(label: "camera")
        private let context = CIContext()

        init(_ onFrame: @escaping (CGImage) -> Void) { self.onFrame = onFrame }

        func begin() {
            AVCaptureDevice.requestAccess(for: .video) { [self] granted in
                if granted { queue.async { [self] in start() } }
            }
        }

        func end() { queue.async { [self] in session.stopRunning() } }

        private func start() {
            guard let camera = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .back),
                let input = try? AVCaptureDeviceInput(device: camera), session.canAddInput(input)
            else { return }
            session.addInput(input)
            let output = AVCaptureVideoDataOutput()
            output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
            output.alwaysDiscardsLateVideoFrames = true
            output.setSampleBufferDelegate(self, queue: queue)
            guard session.canAddOutput(output) else { return }
            session.addOutput(output)
            session.startRunning()
        }

        func captureOutput(
            _ output: AVCaptureOutput, didOutput sample: CMSampleBuffer, from connection: AVCaptureConnection
        ) {
            guard let pixels = CMSampleBufferGetImageBuffer(sample) else { return }
            let upright = CIImage(cvPixelBuffer: pixels).oriented(.right)  // a phone held upright
            if let frame = context.createCGImage(upright, from: upright.extent) { onFrame(frame) }
        }
    }
}
