// One picture of the frame cache as bytes: without loss by default, as JPEG when asked for.
//
// Without loss: green, red - green and blue - green are told apart from what is known already, and
// the differences (mod 256) are compressed by zstd at level 1. Known is either the gradient of the
// neighbours (left + above - above left, PNG's idea of a filter), or the picture before; whichever
// gives fewer bytes. At 420x224, camera clips: 5 % (a face before a still wall) to 48 % of the raw
// size.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/video/resize.h"

namespace streamo::video {

enum class FrameCoding : uint8_t {
  kNeighbours = 0,  // zstd of the differences from the gradient of three neighbours
  kPrevious = 1,    // zstd of the differences from the picture before
  kJpeg = 2,
};

struct CodedFrame {
  FrameCoding coding = FrameCoding::kNeighbours;
  std::string bytes;
};

// `rgb`: [height, width, 3]; `previous`: the picture before it, empty for the first.
CodedFrame code_lossless(std::span<const uint8_t> rgb, std::span<const uint8_t> previous,
                         FrameSize size);
// `quality` 1 to 100, no chroma subsampling. A Fault for a side above JPEG's 65500 pixels.
core::Result<CodedFrame> code_jpeg(std::span<const uint8_t> rgb, FrameSize size, int quality);

// [height, width, 3]; a Fault for bytes that are not a picture of this size.
core::Result<std::vector<uint8_t>> decode_frame(FrameCoding coding, std::string_view bytes,
                                                std::span<const uint8_t> previous, FrameSize size);

}  // namespace streamo::video
