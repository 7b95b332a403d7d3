// A small rasteriser: backgrounds painted once, shapes with antialiased edges by their distance
// function, and grain that shifts from frame to frame.
#include "data/synthetic/painter.h"

#include <algorithm>
#include <cmath>

namespace streamo::data {
namespace {

using Rgb = std::array<int, 3>;

constexpr int kNoise = 3;           // grain: +- this much, the same in all channels
constexpr int kNoiseOffsets = 997;  // pixels by which frames' grain can be shifted

Rgb base_colour(ShapeColour colour) {
  constexpr std::array<Rgb, kNumColours> kColours{{{220, 30, 30}, {30, 175, 50}, {35, 70, 235}}};
  return kColours[static_cast<size_t>(colour)];
}

Rgb base_colour(Tint tint, core::Rng& rng) {
  const int grey = static_cast<int>(rng.integer(115, 135));
  switch (tint) {
    case Tint::kGrey:
      return {grey, grey, grey};
    case Tint::kDark:
      return {28, 28, 32};
    case Tint::kBright:
      return {232, 232, 228};
    case Tint::kStriped:
      return {130, 130, 130};
  }
  return {};
}

// Four stripes across the picture.
int lighter_by_stripes(Tint tint, Point point) {
  if (tint != Tint::kStriped) return 0;
  return static_cast<int>(point.y * 4) % 2 == 0 ? -60 : 60;
}

uint8_t to_byte(double value) {
  return static_cast<uint8_t>(std::clamp(value + 0.5, 0.0, 255.0));
}

// Little dots that stay where they are: things in the picture that nobody asks about.
struct Dot {
  Point centre;
  double radius;
  int lighter;
};

std::vector<Dot> scatter_dots(core::Rng& rng) {
  std::vector<Dot> dots(static_cast<size_t>(rng.integer(3, 12)));
  for (Dot& dot : dots) {
    dot.centre = {rng.uniform(0, kFrameWidth), rng.uniform(0, 1)};
    dot.radius = rng.uniform(0.012, 0.03);
    dot.lighter = static_cast<int>(rng.integer(-35, 35));
  }
  return dots;
}

int lighter_by_dots(const std::vector<Dot>& dots, Point point) {
  for (const Dot& dot : dots) {
    const double x = point.x - dot.centre.x, y = point.y - dot.centre.y;
    if (x * x + y * y < dot.radius * dot.radius) return dot.lighter;
  }
  return 0;
}

}  // namespace

ExamplePainter::ExamplePainter(const Clip& clip, core::Rng rng)
    : clip_(clip), rng_(rng), height_(clip.encoding.size.height), width_(clip.encoding.size.width) {
  const auto dots = scatter_dots(rng_);
  const double slope_x = rng_.uniform(-8, 8), slope_y = rng_.uniform(-8, 8);
  const auto paint_background = [&](Tint tint) {
    Rgb colour = base_colour(tint, rng_);
    for (int& channel : colour) channel += static_cast<int>(rng_.integer(-4, 4));
    Picture picture;
    picture.reserve(static_cast<size_t>(height_) * width_ * 3);
    for (int row = 0; row < height_; ++row) {
      for (int column = 0; column < width_; ++column) {
        const Point point{(column + 0.5) / height_, (row + 0.5) / height_};
        const double lighter = slope_x * (point.x / kFrameWidth - 0.5) + slope_y * (point.y - 0.5) +
                               lighter_by_stripes(tint, point) + lighter_by_dots(dots, point);
        for (const int channel : colour) picture.push_back(to_byte(channel + lighter));
      }
    }
    backgrounds_[static_cast<size_t>(tint)] = std::move(picture);
  };
  paint_background(Tint::kGrey);
  for (const Scene& scene : clip.scenes) {
    if (backgrounds_[static_cast<size_t>(scene.tint)].empty()) paint_background(scene.tint);
  }
  noise_.resize((static_cast<size_t>(height_) * width_ + kNoiseOffsets) * 3);
  for (size_t i = 0; i < noise_.size(); i += 3) {
    std::fill_n(noise_.begin() + static_cast<ptrdiff_t>(i), 3,
                static_cast<int8_t>(rng_.integer(-kNoise, kNoise)));
  }
}

std::span<const uint8_t> ExamplePainter::paint(double time) {
  Tint tint = Tint::kGrey;
  for (const Scene& scene : clip_.scenes) {
    if (time >= scene.begin && time < scene.end) tint = scene.tint;
  }
  picture_ = backgrounds_[static_cast<size_t>(tint)];
  for (const Passage& passage : clip_.passages) {
    if (const auto position = passage.position(time)) draw_passage(passage, *position);
  }
  add_noise();
  return picture_;
}

void ExamplePainter::draw_passage(const Passage& passage, Point position) {
  Rgb colour = base_colour(passage.shape.colour);
  for (size_t channel = 0; channel < 3; ++channel) colour[channel] += passage.shade[channel];
  const auto pixel = [&](double coordinate, int limit) {
    return std::clamp(static_cast<int>(std::floor(coordinate * height_)), 0, limit);
  };
  const int last_row = pixel(position.y + passage.radius, height_ - 1);
  const int last_column = pixel(position.x + passage.radius, width_ - 1);
  for (int row = pixel(position.y - passage.radius, height_); row <= last_row; ++row) {
    for (int column = pixel(position.x - passage.radius, width_); column <= last_column; ++column) {
      const Point point{(column + 0.5) / height_, (row + 0.5) / height_};
      // Half a pixel inside is all colour, half a pixel outside none.
      const double cover = std::clamp(passage.depth(point, position) * height_ + 0.5, 0.0, 1.0);
      if (cover == 0) continue;
      uint8_t* out = &picture_[(static_cast<size_t>(row) * width_ + column) * 3];
      for (size_t channel = 0; channel < 3; ++channel) {
        out[channel] = to_byte(out[channel] + cover * (colour[channel] - out[channel]));
      }
    }
  }
}

void ExamplePainter::add_noise() {
  const int8_t* noise = noise_.data() + 3 * rng_.integer(0, kNoiseOffsets);
  uint8_t* pixels = picture_.data();  // else every store of a byte might change the vector itself
  const size_t size = picture_.size();
  for (size_t i = 0; i < size; ++i) {
    pixels[i] = static_cast<uint8_t>(std::clamp(pixels[i] + noise[i], 0, 255));
  }
}

}  // namespace streamo::data
