// What happens in one example clip: shapes that pass and backgrounds that change, on a clock of
// seconds.
//
// Everything a viewer is asked about is decided at whole seconds, where the model looks: at each of
// them a shape is either in full view or not there at all. What happens in between takes half a
// second.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/rng.h"
#include "video/ffmpeg/encoder.h"

namespace streamo::data {

enum class ShapeKind { kCircle, kSquare, kTriangle };
enum class ShapeColour { kRed, kGreen, kBlue };
constexpr int kNumKinds = 3, kNumColours = 3;
enum class Tint { kGrey, kDark, kBright, kStriped };  // of the background; grey is no scene

struct Shape {
  ShapeKind kind;
  ShapeColour colour;
  friend bool operator==(const Shape&, const Shape&) = default;
};
std::string display_name(const Shape& shape);  // "red circle"
std::string display_name(ShapeKind kind);
std::string display_name(ShapeColour colour);
std::string display_name(Tint tint);

// Inclusive range of sampled seconds.
struct Span {
  int first = 0, last = 0;
  bool holds(int second) const { return first <= second && second <= last; }
  friend bool operator==(const Span&, const Span&) = default;
};

struct Point {
  double x = 0, y = 0;
};
constexpr double kFrameWidth =
    1.5;                          // positions are in units of the frame's height; all clips are 3:2
constexpr double kMargin = 0.02;  // to the frame's border and between the lanes

enum class Edge { kLeft, kRight, kTop, kBottom };
enum class Lane { kLeft, kRight, kWhole };  // the part of the picture that a shape keeps to

// One shape coming in, drifting about, and going out.
struct Passage {
  Shape shape;
  Lane lane = Lane::kWhole;
  Span visible;                 // at the sampled seconds
  double enter = 0, leave = 0;  // seconds at which it starts to fly in and to fly out
  Edge from = Edge::kLeft, to = Edge::kLeft;
  double radius = 0;                  // half the height
  Point centre, reach;                // it drifts within centre +- reach, bouncing
  double cycles_x = 0, cycles_y = 0;  // bounces there and back a second
  std::array<int, 3> shade{};         // added to the colour's RGB

  std::optional<Point> position(double time) const;  // none: not there
  // Signed distance of a point to the shape's border, positive inside.
  double depth(Point point, Point position) const;
  double visible_fraction(double time) const;  // of its area, inside the frame
};

// A stretch of time with a background of its own: a scene that can be captioned when it is over.
struct Scene {
  Tint tint;
  Span seconds;                // sampled
  double begin = 0, end = 0;   // seconds at which the picture changes
  std::optional<Shape> shape;  // the one that passes in it
};

struct Clip {
  video::EncoderOptions encoding;
  int64_t num_frames = 0;
  int num_seconds = 0;            // samples
  std::vector<Passage> passages;  // in order of entry
  std::vector<Scene> scenes;

  double frame_time(int64_t frame) const;
  // The frame that a viewer of one picture a second sees: the last one with time <= second.
  int64_t sampled_frame(int second) const;
  std::vector<const Passage*> visible_at(int second) const;
  bool passages_are_apart() const;  // a second without any shape after each
};

// Which of the seed's streams of random numbers: what happens, what it looks like, what is asked.
enum class Purpose : uint64_t { kScene = 1, kLook = 2, kQuestions = 3 };
core::Rng clip_rng(uint64_t seed, int64_t index, Purpose purpose);

Clip plan_clip(uint64_t seed, int64_t index);

}  // namespace streamo::data
