// For embedded Linux: classifies a binary PPM (P6), or runs the golden tensors.
//
//   classify picture.ppm
//   classify --check golden.bin      exit code 1 where an output differs by more than the bundle's tolerance

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include "classifier.h"
#include "golden.h"
#include "labels.h"

namespace {

int Check(const char* path) {
  const std::vector<app::Golden> golden = app::ReadGolden(path);
  bool fits = !golden.empty();
  for (std::size_t i = 0; i < golden.size(); ++i) {
    app::Output output[app::kClasses];
    int off = 1 << 20;
    if (app::Infer(golden[i].input.data(), output)) {
      off = 0;
      for (std::size_t c = 0; c < app::kClasses; ++c) off = std::max(off, std::abs(output[c] - golden[i].output[c]));
    }
    const bool well = off <= app::kTolerance;
    std::printf("golden %d: output off by %d steps: %s\n", static_cast<int>(i), off, well ? "ok" : "WRONG");
    fits = fits && well;
  }
  return fits ? 0 : 1;
}

bool ReadPpm(const char* path, int* width, int* height, std::vector<char>* rgb) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  int most = 0;
  if (!(file >> kind >> *width >> *height >> most) || kind != "P6" || most != 255) return false;
  if (*width < 1 || *height < 1 || *width > app::kMaxPixels / *height) return false;
  file.get();
  rgb->resize(static_cast<std::size_t>(*width) * static_cast<std::size_t>(*height) * 3);
  return static_cast<bool>(file.read(rgb->data(), static_cast<std::streamsize>(rgb->size())));
}

void Print(std::vector<float> scores) {
  if constexpr (!app::kProbabilities) {  // a softmax
    const float most = *std::max_element(scores.begin(), scores.end());
    for (float& score : scores) score = std::exp(score - most);
    const float sum = std::accumulate(scores.begin(), scores.end(), 0.0F);
    for (float& score : scores) score /= sum;
  }
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  const std::size_t shown = std::min<std::size_t>(5, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&scores](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  for (std::size_t i = 0; i < shown; ++i) {
    std::printf("  %6.2f%%  ", static_cast<double>(scores[order[i]]) * 100);
    std::fflush(stdout);
    std::cout << app::kLabels[order[i]] << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "classify picture.ppm, or classify --check golden.bin\n");
    return 2;
  }
  if (!app::Begin()) {
    std::fprintf(stderr, "TensorFlow Lite Micro refuses the model, or its arena is too small\n");
    return 1;
  }
  if (std::strcmp(argv[1], "--check") == 0) return Check(argc > 2 ? argv[2] : "golden.bin");
  int width = 0, height = 0;
  std::vector<char> rgb;
  std::vector<float> scores(app::kClasses);
  if (!ReadPpm(argv[1], &width, &height, &rgb) ||
      !app::Classify(reinterpret_cast<const std::uint8_t*>(rgb.data()), width, height, scores.data())) {
    std::fprintf(stderr, "not a binary PPM of 8 bits (P6) that can be classified\n");
    return 1;
  }
  Print(scores);
  return 0;
}
