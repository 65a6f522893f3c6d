// The golden tensors on a phone: `flutter test integration_test`.

import 'package:classifier/classifier.dart';
import 'package:flutter_test/flutter_test.dart';
import 'package:integration_test/integration_test.dart';

void main() {
  IntegrationTestWidgetsFlutterBinding.ensureInitialized();

  testWidgets('every golden tensor is met', (tester) async {
    final found = (await Classifier.load()).check();
    expect(found, isNotEmpty);
    for (final each in found) {
      expect(each.ok, isTrue, reason: 'input off by ${each.inputOff}, output by ${each.outputOff}');
    }
  });
}
