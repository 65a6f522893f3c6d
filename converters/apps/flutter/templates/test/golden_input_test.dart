// The golden inputs of the golden images, on any machine: `flutter test`.

import 'dart:io';
import 'dart:typed_data';

import 'package:classifier/description.dart';
import 'package:classifier/golden.dart';
import 'package:flutter_test/flutter_test.dart';

void main() {
  test('every golden input is made', () {
    final description = Description.read(File('assets/app.json').readAsStringSync());
    final golden = readGolden(ByteData.sublistView(File('assets/golden.bin').readAsBytesSync()), description);
    expect(golden, isNotEmpty);
    final outputs = [for (final each in golden) each.output].iterator;
    final found = checked(golden, description, (_) => (outputs..moveNext()).current);
    for (final each in found) {
      expect(each.ok, isTrue, reason: 'input off by ${each.inputOff}');
    }
  });
}
