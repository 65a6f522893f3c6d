// The model on TensorFlow Lite Micro: an RGB image to one score for each class.

#ifndef APP_CLASSIFIER_H_
#define APP_CLASSIFIER_H_

#include <cstdint>

#include "preprocess.h"

namespace app {

// Loads the model into its arena. Returns false where TensorFlow Lite Micro refuses it; call once, before all else.
bool Begin();

// `rgb`: height x width x 3 bytes, upright. `scores`: kClasses values. Returns false for a size that is refused, or
// where the model does not run.
bool Classify(const std::uint8_t* rgb, int width, int height, float* scores);

// The same from the model's input, as the golden tensors hold it, to its output as it is stored.
bool Infer(const Input* input, Output* output);

}  // namespace app

#endif  // APP_CLASSIFIER_H_
