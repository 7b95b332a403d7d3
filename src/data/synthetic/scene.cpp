// The geometry of a passage: where a shape is at a time, how far a point is inside it, and how much
// of it is in the frame.
#include "data/synthetic/scene.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace streamo::data {
namespace {

constexpr double kFlight = 0.3;  // seconds to fly in or out

// Moves between -1 and 1 in straight lines, once there and back a cycle.
double bounce(double cycles) {
  const double phase = cycles - std::floor(cycles);
  return phase < 0.5 ? 4 * phase - 1 : 3 - 4 * phase;
}

Point drift(const Passage& passage, double time) {
  return {passage.centre.x + passage.reach.x * bounce(passage.cycles_x * time),
          passage.centre.y + passage.reach.y * bounce(passage.cycles_y * time)};
}

Point beyond(Edge edge, Point inside, double radius) {
  const double clear = radius + kMargin;
  switch (edge) {
    case Edge::kLeft:
      return {-clear, inside.y};
    case Edge::kRight:
      return {kFrameWidth + clear, inside.y};
    case Edge::kTop:
      return {inside.x, -clear};
    case Edge::kBottom:
      return {inside.x, 1 + clear};
  }
  return inside;
}

Point between(Point from, Point to, double share) {
  return {from.x + share * (to.x - from.x), from.y + share * (to.y - from.y)};
}

}  // namespace

std::string display_name(ShapeKind kind) {
  constexpr std::array kNames{"circle", "square", "triangle"};
  return kNames[static_cast<size_t>(kind)];
}

std::string display_name(ShapeColour colour) {
  constexpr std::array kNames{"red", "green", "blue"};
  return kNames[static_cast<size_t>(colour)];
}

std::string display_name(Tint tint) {
  constexpr std::array kNames{"grey", "dark", "bright", "striped"};
  return kNames[static_cast<size_t>(tint)];
}

std::string display_name(const Shape& shape) {
  return display_name(shape.colour) + " " + display_name(shape.kind);
}

std::optional<Point> Passage::position(double time) const {
  if (time < enter || time > leave + kFlight) return std::nullopt;
  const Point inside = drift(*this, time);
  if (time < enter + kFlight) {
    return between(beyond(from, inside, radius), inside, (time - enter) / kFlight);
  }
  if (time > leave) return between(inside, beyond(to, inside, radius), (time - leave) / kFlight);
  return inside;
}

double Passage::depth(Point point, Point position) const {
  const double x = std::abs(point.x - position.x), y = point.y - position.y;
  switch (shape.kind) {
    case ShapeKind::kCircle:
      return radius - std::sqrt(x * x + y * y);
    case ShapeKind::kSquare:
      return 0.92 * radius - std::max(x, std::abs(y));
    case ShapeKind::kTriangle: {  // as wide as high, point upwards
      constexpr double kSideLength = 2.23606797749979;
      return std::min(radius - y, (y + radius - 2 * x) / kSideLength);
    }
  }
  return -1;
}

double Passage::visible_fraction(double time) const {
  const auto at = position(time);
  if (!at) return 0;
  constexpr int kGrid = 32;
  int inside = 0, in_frame = 0;
  for (int row = 0; row < kGrid; ++row) {
    for (int column = 0; column < kGrid; ++column) {
      const Point point{at->x + radius * (2 * (column + 0.5) / kGrid - 1),
                        at->y + radius * (2 * (row + 0.5) / kGrid - 1)};
      if (depth(point, *at) < 0) continue;
      ++inside;
      if (point.x >= 0 && point.x < kFrameWidth && point.y >= 0 && point.y < 1) ++in_frame;
    }
  }
  return static_cast<double>(in_frame) / inside;
}

double Clip::frame_time(int64_t frame) const {
  return static_cast<double>(frame * encoding.rate_den) / encoding.rate_num;
}

int64_t Clip::sampled_frame(int second) const {
  return std::min<int64_t>(int64_t{second} * encoding.rate_num / encoding.rate_den, num_frames - 1);
}

std::vector<const Passage*> Clip::visible_at(int second) const {
  std::vector<const Passage*> found;
  for (const Passage& passage : passages) {
    if (passage.visible.holds(second)) found.push_back(&passage);
  }
  return found;
}

bool Clip::passages_are_apart() const {
  for (size_t i = 1; i < passages.size(); ++i) {
    if (passages[i].visible.first < passages[i - 1].visible.last + 2) return false;
  }
  return true;
}

}  // namespace streamo::data
