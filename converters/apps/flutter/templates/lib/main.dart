// The screen: a picture of the library or the camera in, the five best classes out.

import 'dart:typed_data';

import 'package:flutter/material.dart';
import 'package:image/image.dart' as pictures;
import 'package:image_picker/image_picker.dart';

import 'classifier.dart';
import 'preprocess.dart';

void main() => runApp(const MaterialApp(home: Screen()));

/// A picture's file as an image: upright by its EXIF tag where the contract says so, transparency on black.
RgbImage? imageOf(Uint8List content, Contract contract) {
  final stored = pictures.decodeImage(content);
  if (stored == null) return null;
  final upright = contract.exif ? pictures.bakeOrientation(stored) : stored;
  final rgba = upright.convert(format: pictures.Format.uint8, numChannels: 4).getBytes(order: pictures.ChannelOrder.rgba);
  final rgb = Uint8List(upright.width * upright.height * 3);
  for (var pixel = 0; pixel < upright.width * upright.height; pixel++) {
    for (var channel = 0; channel < 3; channel++) {
      rgb[pixel * 3 + channel] = (rgba[pixel * 4 + channel] * rgba[pixel * 4 + 3] + 127) ~/ 255;
    }
  }
  return RgbImage(upright.width, upright.height, rgb);
}

class Screen extends StatefulWidget {
  const Screen({super.key});

  @override
  State<Screen> createState() => _ScreenState();
}

class _ScreenState extends State<Screen> {
  Classifier? _classifier;
  Uint8List? _picture;
  List<String> _lines = ['Loading the model…'];

  @override
  void initState() {
    super.initState();
    _attempt(() async {
      final loaded = await Classifier.load();
      _classifier = loaded;
      return ['Ready, on ${loaded.accelerator}.'];
    });
  }

  Future<void> _attempt(Future<List<String>> Function() work) async {
    List<String> lines;
    try {
      lines = await work();
    } catch (problem) {
      lines = ['$problem'];
    }
    if (mounted) setState(() => _lines = lines);
  }

  Future<void> _take(ImageSource source) => _attempt(() async {
        final classifier = _classifier;
        final chosen = await ImagePicker().pickImage(source: source);
        if (chosen == null || classifier == null) return _lines;
        final content = await chosen.readAsBytes();
        final image = imageOf(content, classifier.description.contract);
        if (image == null) return ['This is no picture that can be read.'];
        setState(() => _picture = content);
        final watch = Stopwatch()..start();
        final shares = classifier.classify(image);
        final order = List.generate(shares.length, (place) => place)..sort((a, b) => shares[b].compareTo(shares[a]));
        return [
          for (final place in order.take(5))
            '${(shares[place] * 100).toStringAsFixed(1)} %  ${classifier.description.labels[place]}',
          '${watch.elapsedMilliseconds} ms, ${classifier.accelerator}',
        ];
      });

  Future<void> _check() => _attempt(() async {
        final found = _classifier?.check() ?? [];
        final right = found.isNotEmpty && found.every((each) => each.ok);
        return [
          right ? 'This phone gives the golden outputs.' : 'This phone gives other outputs.',
          for (final each in found) '${each.inputOff}, ${each.outputOff}: ${each.ok ? 'ok' : 'WRONG'}',
        ];
      });

  @override
  Widget build(BuildContext context) {
    final picture = _picture;
    return Scaffold(
      appBar: AppBar(title: Text(_classifier?.description.name ?? 'Classifier')),
      body: SafeArea(
        minimum: const EdgeInsets.all(16),
        child: Column(
          crossAxisAlignment: CrossAxisAlignment.stretch,
          children: [
            Expanded(child: picture == null ? const SizedBox() : Image.memory(picture)),
            for (final line in _lines) Text(line, maxLines: 2, overflow: TextOverflow.ellipsis),
            Row(
              mainAxisAlignment: MainAxisAlignment.spaceAround,
              children: [
                TextButton(onPressed: () => _take(ImageSource.camera), child: const Text('Camera')),
                TextButton(onPressed: () => _take(ImageSource.gallery), child: const Text('Picture')),
                TextButton(onPressed: _check, child: const Text('Check')),
              ],
            ),
          ],
        ),
      ),
    );
  }
}
