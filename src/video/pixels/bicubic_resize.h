// The exact resize: antialiased bicubic on bytes, equal bit for bit to the one the processor of
// transformers 5 uses.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "streamo/video/resize.h"

namespace streamo::video {

// `rgb` is [from.height, from.width, 3], the result [to.height, to.width, 3].
//
// Equals aten::_upsample_bicubic2d_aa(uint8, to, align_corners = false), which is what torchvision
// resizes byte tensors with and itself follows Pillow's resize: the cubic of a = -0.5 (R. Keys,
// "Cubic convolution interpolation for digital image processing", 1981), stretched by the scale
// when the picture shrinks; first along the rows, then along the columns; weights as whole numbers
// of 16 bits; every pass rounded to bytes.
std::vector<uint8_t> resize_bicubic(std::span<const uint8_t> rgb, FrameSize from, FrameSize to);

}  // namespace streamo::video
