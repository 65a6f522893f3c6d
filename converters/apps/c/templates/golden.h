// The golden tensors in golden.bin: images, the inputs they become, the outputs expected for them.

#ifndef APP_GOLDEN_H_
#define APP_GOLDEN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "contract.h"

namespace app {

struct Golden {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;
  std::vector<Input> input;
  std::vector<Output> output;
};

// Returns nothing where the file is absent, or not of this app.
std::vector<Golden> ReadGolden(const std::string& path);

}  // namespace app

#endif  // APP_GOLDEN_H_
