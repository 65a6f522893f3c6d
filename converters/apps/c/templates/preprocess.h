// From an RGB image of any size to the model's input, as contract.h says.
//
// Arithmetic on pixels is integer arithmetic, and repeats that of Pillow's resampling bit for bit. The weights of a
// resampling are computed (in double) once for each size of image, by Prepare.

#ifndef APP_PREPROCESS_H_
#define APP_PREPROCESS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "contract.h"

namespace app {

// What each pixel of one side of the output is made of: `count` source pixels from `first`, weighed.
struct Taps {
  std::vector<std::int32_t> first;
  std::vector<std::int32_t> count;
  std::vector<std::int32_t> weights;  // `stride` for each pixel, in units of 2^-22
  std::size_t stride = 0;
};

class Preprocessor {
 public:
  // Makes ready for images of a size. Returns false for a size of zero or of more than kMaxPixels pixels.
  bool Prepare(int width, int height);

  // `rgb`: height x width x 3 bytes, row by row, without padding, of the size last prepared.
  // `input`: kHeight x kWidth x kChannels values of the model's input.
  void Run(const std::uint8_t* rgb, Input* input);

 private:
  void PrepareTaps(int size, int out, double begin, double end, Taps* taps) const;
  void Narrow(const std::uint8_t* source, std::uint8_t* row) const;
  const std::uint8_t* Narrowed(const std::uint8_t* rgb, int y);
  void Blend(const std::uint8_t* rgb, int y);
  void Store(const std::uint8_t* row, int y, Input* input) const;

  int width_ = 0;
  int height_ = 0;
  int left_ = 0;  // where the resized image lies in the input
  int top_ = 0;
  int out_width_ = 0;
  int out_height_ = 0;
  Taps columns_;
  Taps rows_;
  bool tall_ = false;               // rows are blended before columns
  std::vector<std::uint8_t> ring_;  // narrowed rows, as many as one output row needs; or one blended row
  std::vector<std::int32_t> ring_rows_;
  std::vector<std::int32_t> sums_;
  std::vector<std::uint8_t> line_;  // one row of the resized image
};

}  // namespace app

#endif  // APP_PREPROCESS_H_
