#include "preprocess.h"

#include <algorithm>
#include <cmath>

namespace app {
namespace {

constexpr int kPrecision = 22;  // bits of a weight behind the point
constexpr std::int32_t kHalf = 1 << (kPrecision - 1);
constexpr double kPi = 3.14159265358979323846;

std::uint8_t Clip(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp<std::int32_t>(sum >> kPrecision, 0, 255));
}

double Sinc(double x) { return x == 0.0 ? 1.0 : std::sin(x * kPi) / (x * kPi); }

// The filters of Pillow's resampling; bicubic with a = -0.5, Lanczos with three lobes.
double Weight(double x) {
  x = std::fabs(x);
  if constexpr (kKernel == Kernel::kBilinear) return x < 1.0 ? 1.0 - x : 0.0;
  if constexpr (kKernel == Kernel::kBicubic) {
    constexpr double a = -0.5;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
  }
  return x < 3.0 ? Sinc(x) * Sinc(x / 3) : 0.0;
}

constexpr double Support() {
  return kKernel == Kernel::kBilinear ? 1.0 : kKernel == Kernel::kBicubic ? 2.0 : 3.0;
}

// Where the middle `size` pixels of a side that grows by `ratio` begin and end on the original side.
void Middle(int length, int size, double ratio, double* begin, double* end) {
  const double grown = std::max<double>(size, std::nearbyint(length * ratio));
  const double start = std::floor((grown - size) / 2);
  *begin = start * length / grown;
  *end = (start + size) * length / grown;
}

void Single(std::size_t place, std::int32_t source, Taps* taps) {
  taps->first[place] = source;
  taps->count[place] = 1;
  taps->weights[place * taps->stride] = 1 << kPrecision;
}

}  // namespace

bool Preprocessor::Prepare(int width, int height) {
  if (width < 1 || height < 1 || width > kMaxPixels / height) return false;
  if (width == width_ && height == height_) return true;
  width_ = width;
  height_ = height;
  double left = 0, top = 0, right = width, bottom = height;
  out_width_ = kWidth;
  out_height_ = kHeight;
  if constexpr (kResize == Resize::kCrop) {
    const double x = static_cast<double>(kWidth) / width, y = static_cast<double>(kHeight) / height;
    const double ratio = std::max(x, y) / kCropFraction;
    Middle(width, kWidth, ratio, &left, &right);
    Middle(height, kHeight, ratio, &top, &bottom);
  } else if constexpr (kResize == Resize::kPad) {
    const double ratio = std::min(static_cast<double>(kWidth) / width, static_cast<double>(kHeight) / height);
    out_width_ = std::max(1, static_cast<int>(std::nearbyint(width * ratio)));
    out_height_ = std::max(1, static_cast<int>(std::nearbyint(height * ratio)));
  }
  left_ = (kWidth - out_width_) / 2;
  top_ = (kHeight - out_height_) / 2;
  PrepareTaps(width, out_width_, left, right, &columns_);
  PrepareTaps(height, out_height_, top, bottom, &rows_);
  // Pillow (since 13) blends rows before columns where the height shrinks by more than twice what the width does.
  tall_ = height > out_height_ && height - out_height_ > 2 * (width - out_width_);
  line_.assign(static_cast<std::size_t>(out_width_) * 3, 0);
  sums_.assign(tall_ ? static_cast<std::size_t>(width) * 3 : line_.size(), 0);
  ring_.assign(tall_ ? sums_.size() : rows_.stride * line_.size(), 0);
  ring_rows_.assign(rows_.stride, -1);
  return true;
}

void Preprocessor::PrepareTaps(int size, int out, double begin, double end, Taps* taps) const {
  // Pillow holds the two ends as float, and their difference.
  const float from = static_cast<float>(begin), to = static_cast<float>(end);
  const double scale = static_cast<double>(to - from) / out;
  const bool whole = size == out && from == 0.0F && to == static_cast<float>(out);
  const double filter_scale = std::max(scale, 1.0);
  const double support = Support() * filter_scale;
  const bool single = whole || kKernel == Kernel::kNearest;
  taps->stride = single ? 1 : static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  const std::size_t places = static_cast<std::size_t>(out);
  taps->first.assign(places, 0);
  taps->count.assign(places, 0);
  taps->weights.assign(places * taps->stride, 0);
  double nearest = from + scale * 0.5;
  std::vector<double> weights(taps->stride);
  for (std::size_t place = 0; place < places; ++place, nearest += scale) {
    if (single) {
      Single(place, whole ? static_cast<int>(place) : std::min(static_cast<int>(nearest), size - 1), taps);
      continue;
    }
    const double center = from + (static_cast<double>(place) + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int count = std::min(size, static_cast<int>(center + support + 0.5)) - first;
    double sum = 0;
    for (int i = 0; i < count; ++i) {
      sum += weights[static_cast<std::size_t>(i)] = Weight((i + first - center + 0.5) * (1.0 / filter_scale));
    }
    taps->first[place] = first;
    taps->count[place] = count;
    for (int i = 0; i < count; ++i) {
      double weight = weights[static_cast<std::size_t>(i)];
      if (sum != 0.0) weight /= sum;
      weight *= 1 << kPrecision;
      taps->weights[place * taps->stride + static_cast<std::size_t>(i)] =
          static_cast<std::int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
  }
}

// One row of the source, at the width of the output.
void Preprocessor::Narrow(const std::uint8_t* source, std::uint8_t* row) const {
  for (std::size_t x = 0; x < columns_.first.size(); ++x) {
    const std::int32_t* weights = columns_.weights.data() + x * columns_.stride;
    const std::uint8_t* pixel = source + static_cast<std::size_t>(columns_.first[x]) * 3;
    std::int32_t sum[3] = {kHalf, kHalf, kHalf};
    for (std::int32_t i = 0; i < columns_.count[x]; ++i, pixel += 3) {
      for (int c = 0; c < 3; ++c) sum[c] += pixel[c] * weights[i];
    }
    for (std::size_t c = 0; c < 3; ++c) row[x * 3 + c] = Clip(sum[c]);
  }
}

// Row `y` of the source, narrowed; it stays in the ring until another row needs its place.
const std::uint8_t* Preprocessor::Narrowed(const std::uint8_t* rgb, int y) {
  const std::size_t slot = static_cast<std::size_t>(y) % rows_.stride;
  std::uint8_t* row = ring_.data() + slot * line_.size();
  if (ring_rows_[slot] != y) {
    ring_rows_[slot] = y;
    Narrow(rgb + static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) * 3, row);
  }
  return row;
}

// Row `y` of the resized image, into `line_`.
void Preprocessor::Blend(const std::uint8_t* rgb, int y) {
  const std::size_t place = static_cast<std::size_t>(y);
  const std::int32_t* weights = rows_.weights.data() + place * rows_.stride;
  const std::int32_t first = rows_.first[place], count = rows_.count[place];
  std::fill(sums_.begin(), sums_.end(), kHalf);
  for (std::int32_t i = 0; i < count; ++i) {
    const std::uint8_t* row = tall_ ? rgb + static_cast<std::size_t>(first + i) * sums_.size() : Narrowed(rgb, first + i);
    for (std::size_t at = 0; at < sums_.size(); ++at) sums_[at] += row[at] * weights[i];
  }
  std::vector<std::uint8_t>& blended = tall_ ? ring_ : line_;
  for (std::size_t at = 0; at < sums_.size(); ++at) blended[at] = Clip(sums_[at]);
  if (tall_) Narrow(ring_.data(), line_.data());
}

void Preprocessor::Store(const std::uint8_t* row, int y, Input* input) const {
  input += (static_cast<std::size_t>(y + top_) * kWidth + static_cast<std::size_t>(left_)) * kChannels;
  for (int x = 0; x < out_width_; ++x, row += 3, input += kChannels) {
    if constexpr (kOrder == Order::kGray) {  // ITU-R 601-2 luma
      input[0] = kInputTable[0][(row[0] * 19595 + row[1] * 38470 + row[2] * 7471 + 0x8000) >> 16];
    } else {
      constexpr int kRed = kOrder == Order::kRgb ? 0 : 2;
      for (int c = 0; c < 3; ++c) input[c] = kInputTable[c][row[c == 1 ? 1 : (c == 0 ? kRed : 2 - kRed)]];
    }
  }
}

void Preprocessor::Run(const std::uint8_t* rgb, Input* input) {
  if (out_width_ < kWidth || out_height_ < kHeight) {  // borders are black
    for (int at = 0; at < kHeight * kWidth * kChannels; ++at) input[at] = kInputTable[at % kChannels][0];
  }
  std::fill(ring_rows_.begin(), ring_rows_.end(), -1);
  for (int y = 0; y < out_height_; ++y) {
    Blend(rgb, y);
    Store(line_.data(), y, input);
  }
}

}  // namespace app
