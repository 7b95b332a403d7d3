// Draws the frames of an example clip.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "data/synthetic/scene.h"

namespace streamo::data {

class ExamplePainter {
 public:
  ExamplePainter(const Clip& clip, core::Rng rng);

  // The picture at a time, [height, width, 3]; valid until the next call.
  std::span<const uint8_t> paint(double time);

 private:
  using Picture = std::vector<uint8_t>;

  void draw_passage(const Passage& passage, Point position);
  void add_noise();

  const Clip& clip_;
  core::Rng rng_;
  int height_, width_;
  std::array<Picture, 4> backgrounds_;  // by Tint; empty where the clip has no such scene
  std::vector<int8_t> noise_;           // more than a frame of it: each frame starts elsewhere
  Picture picture_;
};

}  // namespace streamo::data
