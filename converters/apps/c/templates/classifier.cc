#include "classifier.h"

#include <algorithm>

#include "model_data.h"
#include "operators.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace app {
namespace {

constexpr int kInputSize = kHeight * kWidth * kChannels;

alignas(16) std::uint8_t arena[kArenaBytes];
tflite::MicroInterpreter* interpreter = nullptr;  // once Begin has returned true
Preprocessor preprocessor;

bool Invoke(Output* output) {
  if (interpreter->Invoke() != kTfLiteOk) return false;
  const Output* found = interpreter->typed_output_tensor<Output>(0);
  std::copy(found, found + kClasses, output);
  return true;
}

}  // namespace

bool Begin() {
  static Resolver resolver;
  if (AddOperators(&resolver) != kTfLiteOk) return false;
  static tflite::MicroInterpreter loaded(tflite::GetModel(kModel), resolver, arena, kArenaBytes);
  if (loaded.AllocateTensors() != kTfLiteOk) return false;
  if (loaded.typed_input_tensor<Input>(0) == nullptr || loaded.typed_output_tensor<Output>(0) == nullptr) return false;
  interpreter = &loaded;
  return true;
}

bool Infer(const Input* input, Output* output) {
  if (interpreter == nullptr) return false;
  std::copy(input, input + kInputSize, interpreter->typed_input_tensor<Input>(0));
  return Invoke(output);
}

bool Classify(const std::uint8_t* rgb, int width, int height, float* scores) {
  if (interpreter == nullptr || !preprocessor.Prepare(width, height)) return false;
  preprocessor.Run(rgb, interpreter->typed_input_tensor<Input>(0));
  Output stored[kClasses];
  if (!Invoke(stored)) return false;
  for (int i = 0; i < kClasses; ++i) scores[i] = static_cast<float>(stored[i] - kOutputZeroPoint) * kOutputScale;
  return true;
}

}  // namespace app
