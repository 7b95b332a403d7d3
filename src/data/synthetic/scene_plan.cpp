// Designs a clip: which shapes pass when and where, over which backgrounds, and how it is encoded.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/synthetic/scene.h"
#include "streamo/core/error.h"

namespace streamo::data {
namespace {

constexpr double kFullView = 0.8;    // visible fraction at a sampled second: at least this ...
constexpr double kOutOfView = 0.02;  // ... or less than this

struct FrameRate {
  int num, den;
};

// All 3:2, so that a model which sees 84x56 pixels gets them undistorted.
const std::vector<video::FrameSize> kSizes{
    {112, 168}, {128, 192}, {160, 240}, {84, 126}, {120, 180}};
const std::vector<FrameRate> kRates{{10, 1}, {12, 1},       {15, 1}, {24, 1},
                                    {25, 1}, {30000, 1001}, {30, 1}};

// Of the clips; the rest has scenes.
constexpr double kShareOfOneLane = 0.6, kShareOfTwoLanes = 0.1;

// In the order in which they come. Two of the nine never do: they can be asked for in vain.
std::vector<Shape> shuffled_shapes(core::Rng& rng) {
  std::vector<Shape> shapes;
  for (int kind = 0; kind < kNumKinds; ++kind) {
    for (int colour = 0; colour < kNumColours; ++colour) {
      shapes.push_back({static_cast<ShapeKind>(kind), static_cast<ShapeColour>(colour)});
    }
  }
  rng.shuffle(shapes);
  shapes.resize(7);
  return shapes;
}

std::vector<Edge> lane_edges(Lane lane) {
  switch (lane) {
    case Lane::kLeft:
      return {Edge::kLeft, Edge::kTop, Edge::kBottom};
    case Lane::kRight:
      return {Edge::kRight, Edge::kTop, Edge::kBottom};
    case Lane::kWhole:
      break;
  }
  return {Edge::kLeft, Edge::kRight, Edge::kTop, Edge::kBottom};
}

// In units of the frame's height. Outlines alone take a small model hours to learn; with a size of
// its own each kind is learnt in minutes, as a man and a child are told apart from afar.
double shape_radius(ShapeKind kind) {
  switch (kind) {
    case ShapeKind::kCircle:
      return 0.2;
    case ShapeKind::kSquare:
      return 0.28;
    case ShapeKind::kTriangle:
      return 0.15;
  }
  return 0;
}

Passage plan_passage(core::Rng& rng, const Shape& shape, Lane lane, Span visible) {
  Passage passage;
  passage.shape = shape;
  passage.lane = lane;
  passage.visible = visible;
  passage.enter = visible.first - 1 + rng.uniform(0.1, 0.55);
  passage.leave = visible.last + rng.uniform(0.1, 0.55);
  passage.from = rng.pick(lane_edges(lane));
  passage.to = rng.pick(lane_edges(lane));
  passage.radius = shape_radius(shape.kind) * rng.uniform(0.97, 1.03);
  const double low = lane == Lane::kRight ? kFrameWidth / 2 : 0;
  const double high = lane == Lane::kLeft ? kFrameWidth / 2 : kFrameWidth;
  const double clear = passage.radius + kMargin;
  const auto place = [&](double from, double to, double& centre, double& reach) {
    reach = rng.uniform(0.3, 1) * std::min(0.25, (to - from) / 2);
    centre = rng.uniform(from + reach, to - reach);
  };
  place(low + clear, high - clear, passage.centre.x, passage.reach.x);
  place(clear, 1 - clear, passage.centre.y, passage.reach.y);
  passage.cycles_x = rng.uniform(0.1, 0.4);
  passage.cycles_y = rng.uniform(0.1, 0.4);
  for (int& channel : passage.shade) channel = static_cast<int>(rng.integer(-14, 14));
  return passage;
}

// One after another in one lane, at least one empty second between two.
void fill_lane(core::Rng& rng, Lane lane, int end, std::vector<Shape>& shapes, Clip& clip) {
  int first = rng.chance(0.2) ? 0 : static_cast<int>(rng.integer(1, 3));
  while (!shapes.empty()) {
    const int last = first + static_cast<int>(rng.integer(1, 2)) - 1;
    if (last + 1 >= end) return;
    clip.passages.push_back(plan_passage(rng, shapes.back(), lane, {first, last}));
    shapes.pop_back();
    first = last + static_cast<int>(rng.integer(2, 3));
  }
}

// Scenes with a grey second or more between two, each with at most one shape, inside it.
void fill_scenes(core::Rng& rng, int end, std::vector<Shape>& shapes, Clip& clip) {
  int first = static_cast<int>(rng.integer(1, 2));
  std::optional<Tint> previous;
  for (;;) {
    const Span seconds{first, first + static_cast<int>(rng.integer(4, 6)) - 1};
    if (seconds.last + 1 >= end) return;
    std::vector<Tint> tints{Tint::kDark, Tint::kBright, Tint::kStriped};
    if (previous) std::erase(tints, *previous);
    Scene scene{rng.pick(tints), seconds, seconds.first - 1 + rng.uniform(0.2, 0.8),
                seconds.last + rng.uniform(0.2, 0.8), std::nullopt};
    if (rng.chance(0.75)) {
      const int enter = static_cast<int>(rng.integer(seconds.first + 1, seconds.last - 2));
      const int leave = static_cast<int>(rng.integer(enter + 1, seconds.last - 1));
      scene.shape = shapes.back();
      clip.passages.push_back(plan_passage(rng, shapes.back(), Lane::kWhole, {enter, leave}));
      shapes.pop_back();
    }
    previous = scene.tint;
    clip.scenes.push_back(scene);
    first = seconds.last + 1 + static_cast<int>(rng.integer(1, 3));
  }
}

void choose_encoding(core::Rng& rng, double duration, Clip& clip) {
  const FrameRate rate = rng.pick(kRates);
  const double frames_a_second = static_cast<double>(rate.num) / rate.den;
  clip.encoding.size = rng.pick(kSizes);
  clip.encoding.rate_num = rate.num;
  clip.encoding.rate_den = rate.den;
  clip.encoding.gop_size = static_cast<int>(std::lround(frames_a_second * rng.uniform(1, 4)));
  clip.encoding.b_frames = static_cast<int>(rng.integer(0, 2));
  clip.encoding.crf = static_cast<int>(rng.integer(28, 32));
  clip.num_frames = static_cast<int64_t>(duration * frames_a_second);
}

// n = max(floor(time of the last frame) + 1, floor(duration)), as the sampler counts.
int count_seconds(const Clip& clip) {
  return static_cast<int>(
      std::max((clip.num_frames - 1) * clip.encoding.rate_den / clip.encoding.rate_num + 1,
               clip.num_frames * clip.encoding.rate_den / clip.encoding.rate_num));
}

void check_every_sample(const Clip& clip) {
  for (int second = 0; second < clip.num_seconds; ++second) {
    const double time = clip.frame_time(clip.sampled_frame(second));
    for (const Passage& passage : clip.passages) {
      const double fraction = passage.visible_fraction(time);
      const bool as_planned =
          passage.visible.holds(second) ? fraction >= kFullView : fraction < kOutOfView;
      STREAMO_CHECK(as_planned, fmt::format("{:.2f} of a shape at second {}", fraction, second));
    }
    for (const Scene& scene : clip.scenes) {
      STREAMO_CHECK((time >= scene.begin && time < scene.end) == scene.seconds.holds(second),
                    "scenes change between the sampled seconds");
    }
  }
}

}  // namespace

core::Rng clip_rng(uint64_t seed, int64_t index, Purpose purpose) {
  return core::Rng({seed, static_cast<uint64_t>(index), static_cast<uint64_t>(purpose)});
}

Clip plan_clip(uint64_t seed, int64_t index) {
  core::Rng rng = clip_rng(seed, index, Purpose::kScene);
  Clip clip;
  const double what = rng.uniform();
  const bool has_scenes = what >= kShareOfOneLane + kShareOfTwoLanes;
  choose_encoding(rng, has_scenes ? rng.uniform(10, 16) : rng.uniform(7, 12), clip);
  clip.num_seconds = count_seconds(clip);
  std::vector<Shape> shapes = shuffled_shapes(rng);
  if (has_scenes) {
    fill_scenes(rng, clip.num_seconds, shapes, clip);
  } else if (what < kShareOfOneLane) {
    fill_lane(rng, Lane::kWhole, clip.num_seconds, shapes, clip);
  } else {
    fill_lane(rng, Lane::kLeft, clip.num_seconds, shapes, clip);
    fill_lane(rng, Lane::kRight, clip.num_seconds, shapes, clip);
  }
  std::stable_sort(clip.passages.begin(), clip.passages.end(),
                   [](const auto& a, const auto& b) { return a.visible.first < b.visible.first; });
  check_every_sample(clip);
  return clip;
}

}  // namespace streamo::data
