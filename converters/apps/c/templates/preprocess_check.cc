// Whether this compiler and processor make the golden inputs of the golden images, bit for bit. Needs no TensorFlow.
//
//   preprocess_check golden.bin              the check; exit code 1 where a value differs
//   preprocess_check W H < rgb > input       any image: W x H x 3 bytes in, the model's input out

#include <cstdio>
#include <cstdlib>

#include "golden.h"
#include "preprocess.h"

namespace {

int Convert(int width, int height) {
  app::Preprocessor preprocessor;
  if (!preprocessor.Prepare(width, height)) return 1;
  std::vector<std::uint8_t> rgb(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  std::vector<app::Input> input(static_cast<std::size_t>(app::kHeight) * app::kWidth * app::kChannels);
  if (std::fread(rgb.data(), 1, rgb.size(), stdin) != rgb.size()) return 1;
  preprocessor.Run(rgb.data(), input.data());
  return std::fwrite(input.data(), sizeof(app::Input), input.size(), stdout) == input.size() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) return Convert(std::atoi(argv[1]), std::atoi(argv[2]));
  const std::vector<app::Golden> golden = app::ReadGolden(argc > 1 ? argv[1] : "golden.bin");
  if (golden.empty()) {
    std::fprintf(stderr, "golden.bin is absent or not of this app: name it\n");
    return 2;
  }
  app::Preprocessor preprocessor;
  bool fits = true;
  for (std::size_t i = 0; i < golden.size(); ++i) {
    std::vector<app::Input> input(golden[i].input.size());
    const bool well = preprocessor.Prepare(golden[i].width, golden[i].height) &&
                      (preprocessor.Run(golden[i].rgb.data(), input.data()), input == golden[i].input);
    std::printf("golden %d: input %s\n", static_cast<int>(i), well ? "ok" : "WRONG");
    fits = fits && well;
  }
  return fits ? 0 : 1;
}
