#include "golden.h"

#include <cstring>
#include <fstream>

namespace app {
namespace {

constexpr char kMagic[] = "EDGERES1";

// Values are stored as this machine holds them where it is little-endian, as the targets of this app are.
template <typename T>
bool Read(std::ifstream* file, std::size_t count, std::vector<T>* values) {
  values->resize(count);
  file->read(reinterpret_cast<char*>(values->data()), static_cast<std::streamsize>(count * sizeof(T)));
  return static_cast<bool>(*file);
}

}  // namespace

std::vector<Golden> ReadGolden(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> magic;
  std::vector<std::int32_t> count, size;
  if (!Read(&file, sizeof(kMagic) - 1, &magic) || std::memcmp(magic.data(), kMagic, magic.size()) != 0) return {};
  if (!Read(&file, 1, &count) || count[0] < 0) return {};
  std::vector<Golden> found;
  for (std::int32_t i = 0; i < count[0]; ++i) {
    if (!Read(&file, 2, &size) || size[0] < 1 || size[1] < 1 || size[0] > kMaxPixels / size[1]) return {};
    Golden golden;
    golden.height = size[0];
    golden.width = size[1];
    if (!Read(&file, static_cast<std::size_t>(size[0]) * static_cast<std::size_t>(size[1]) * 3, &golden.rgb) ||
        !Read(&file, static_cast<std::size_t>(kHeight) * kWidth * kChannels, &golden.input) ||
        !Read(&file, kClasses, &golden.output)) {
      return {};
    }
    found.push_back(golden);
  }
  return found;
}

}  // namespace app
