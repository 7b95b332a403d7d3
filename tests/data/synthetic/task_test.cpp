// The example task. Truth: the plan of each clip (which shape is where at which second), against
// the decoded pictures on one side and the labels that the conversion makes of the records on the
// other.
#include "data/synthetic/task.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/formats/annotation.h"
#include "data/samples/conversation.h"
#include "data/synthetic/records.h"
#include "data/synthetic/scene.h"
#include "streamo/video/sampler.h"

namespace streamo::data {
namespace {
namespace fs = std::filesystem;
using text::State;

constexpr uint64_t kSeed = 5;
const video::PixelLimits kSmallPictures{3136, 4704, 28};  // as the example's model sees them

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// One set of clips for all tests that need files.
class ExampleTaskTest : public testing::Test {
 protected:
  static constexpr int kClips = 8;

  static void SetUpTestSuite() {
    folder_ = fs::path(testing::TempDir()) / fmt::format("streamo-example-{}", ::getpid());
    synthesize_example_task(options("set"));
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static ExampleTaskOptions options(const std::string& name) {
    ExampleTaskOptions options;
    options.out_dir = folder_ / name;
    options.num_clips = kClips;
    options.seed = kSeed;
    options.num_workers = 2;
    return options;
  }

  inline static fs::path folder_;
};

// ---- What stands in the files
// ---------------------------------------------------------------------

TEST_F(ExampleTaskTest, SameOptionsGiveTheSameFilesWithAnyNumberOfWorkers) {
  ExampleTaskOptions again = options("again");
  again.num_clips = 3;
  again.num_workers = 1;
  synthesize_example_task(again);
  const auto set = nlohmann::json::parse(content_of(folder_ / "set" / "raw_data.json"));
  const auto fewer = nlohmann::json::parse(content_of(folder_ / "again" / "raw_data.json"));
  ASSERT_GT(set.size(), fewer.size());
  EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), set.begin()))
      << "clip i depends on seed and i";
  EXPECT_EQ(content_of(folder_ / "set/videos/000002.mp4"),
            content_of(folder_ / "again/videos/000002.mp4"));

  const std::string first = content_of(again.out_dir / "raw_data.json");
  fs::remove_all(again.out_dir);
  again.num_workers = 3;
  synthesize_example_task(again);
  EXPECT_EQ(first, content_of(again.out_dir / "raw_data.json"));
}

TEST_F(ExampleTaskTest, FinishedSetIsLeftAloneAndAnotherOrPartialOneIsMadeAnew) {
  ExampleTaskOptions small = options("small");
  small.num_clips = 1;
  synthesize_example_task(small);
  const fs::path clip = small.out_dir / "videos/000000.mp4";
  const std::string bytes = content_of(clip);
  std::ofstream(clip) << "marked";
  synthesize_example_task(small);
  EXPECT_EQ(content_of(clip), "marked") << "nothing was written";
  fs::remove(clip);
  synthesize_example_task(small);
  EXPECT_EQ(content_of(clip), bytes);
  small.seed = kSeed + 1;
  synthesize_example_task(small);
  EXPECT_NE(content_of(clip), bytes);
}

TEST_F(ExampleTaskTest, EveryRecordConvertsWithoutLoss) {
  const auto records = nlohmann::json::parse(content_of(folder_ / "set" / "raw_data.json"));
  for (const auto& record : records) {
    const auto annotation = parse_annotation(record);
    ASSERT_TRUE(annotation) << annotation.reason();
    const auto info = video::probe(folder_ / "set" / annotation->video_path, {});
    ASSERT_TRUE(info) << info.reason();
    ConversionLosses losses;
    label_turns(*annotation, info->num_samples, 1.0, &losses);
    EXPECT_EQ(losses.total(), 0) << record.dump();
  }
}

// ---- What is to be seen
// ----------------------------------------------------------------------------

// Pixels of the shapes: one channel is far above the rest.
std::optional<ShapeColour> classify_colour(const uint8_t* rgb) {
  const int red = rgb[0], green = rgb[1], blue = rgb[2];
  if (blue > 150 && blue - red > 70 && blue - green > 70) return ShapeColour::kBlue;
  if (red > 150 && red - green > 100 && red - blue > 100) return ShapeColour::kRed;
  if (green > 120 && green - red > 60 && green - blue > 60) return ShapeColour::kGreen;
  return std::nullopt;
}

struct Patch {
  int pixels = 0, left = 1000, right = -1, top = 1000, bottom = -1;
};

std::map<ShapeColour, Patch> find_patches(const video::Frame& frame) {
  std::map<ShapeColour, Patch> patches;
  for (int row = 0; row < frame.size.height; ++row) {
    for (int column = 0; column < frame.size.width; ++column) {
      const auto colour =
          classify_colour(&frame.rgb[static_cast<size_t>(row * frame.size.width + column) * 3]);
      if (!colour) continue;
      Patch& patch = patches[*colour];
      ++patch.pixels;
      patch.left = std::min(patch.left, column);
      patch.right = std::max(patch.right, column);
      patch.top = std::min(patch.top, row);
      patch.bottom = std::max(patch.bottom, row);
    }
  }
  std::erase_if(patches, [](const auto& entry) { return entry.second.pixels < 20; });  // of 4704
  return patches;
}

// By area: of 56 x 56 pixels a square covers 0.27, a circle 0.11, a triangle 0.03. That small, a
// triangle's outline is lost in the subsampled chroma.
ShapeKind kind_of(const Patch& patch) {
  const double area = patch.pixels / (56.0 * 56.0);
  if (area > 0.18) return ShapeKind::kSquare;
  return area > 0.065 ? ShapeKind::kCircle : ShapeKind::kTriangle;
}

TEST_F(ExampleTaskTest, ShapesAreSeenExactlyAtTheSecondsOfThePlan) {
  int shapes_seen = 0;
  for (int i = 0; i < kClips; ++i) {
    const Clip clip = plan_clip(kSeed, i);
    const auto frames = video::sample_video(folder_ / fmt::format("set/videos/{:06}.mp4", i),
                                            {.pixel_limits = kSmallPictures});
    ASSERT_TRUE(frames) << frames.reason();
    ASSERT_EQ(frames->size(), static_cast<size_t>(clip.num_seconds));
    for (const video::Frame& frame : *frames) {
      SCOPED_TRACE(fmt::format("clip {} second {}", i, frame.index));
      ASSERT_EQ(frame.size, (video::FrameSize{56, 84}));
      const auto visible = clip.visible_at(static_cast<int>(frame.index));
      auto patches = find_patches(frame);
      std::map<ShapeColour, std::vector<ShapeKind>> expected;
      for (const Passage* passage : visible) {
        expected[passage->shape.colour].push_back(passage->shape.kind);
      }
      EXPECT_EQ(patches.size(), expected.size());
      for (const auto& [colour, kinds] : expected) {
        ASSERT_TRUE(patches.contains(colour)) << display_name(colour);
        if (kinds.size() == 1) {
          EXPECT_EQ(kind_of(patches[colour]), kinds.front());
        }
        ++shapes_seen;
      }
    }
  }
  EXPECT_GT(shapes_seen, 20);
}

TEST_F(ExampleTaskTest, BackgroundsAreSeenExactlyAtTheSecondsOfTheirScene) {
  int scenes = 0;
  for (int i = 0; i < kClips; ++i) {
    const Clip clip = plan_clip(kSeed, i);
    scenes += static_cast<int>(clip.scenes.size());
    const auto frames = video::sample_video(folder_ / fmt::format("set/videos/{:06}.mp4", i), {});
    ASSERT_TRUE(frames) << frames.reason();
    for (const video::Frame& frame : *frames) {
      Tint expected = Tint::kGrey;
      for (const Scene& scene : clip.scenes) {
        if (scene.seconds.holds(static_cast<int>(frame.index))) expected = scene.tint;
      }
      // No shape reaches a corner. The stripes are dark at the top and bright at the bottom.
      const int top = frame.rgb.front(), bottom = frame.rgb.back();
      const Tint seen = bottom - top > 60 ? Tint::kStriped
                        : top < 60        ? Tint::kDark
                        : top > 190       ? Tint::kBright
                                          : Tint::kGrey;
      EXPECT_EQ(seen, expected) << "clip " << i << " second " << frame.index;
    }
  }
  EXPECT_GT(scenes, 0);
}

// ---- What is asked and answered (plans only: many clips)
// --------------------------------------------

struct LabelledRecord {
  Annotation annotation;
  std::vector<TurnLabel> labels;
  int asked_at;  // turn of the last question
};

std::vector<LabelledRecord> label_clip(const Clip& clip, int64_t index) {
  std::vector<LabelledRecord> labelled;
  for (const auto& record :
       annotate_clip(clip, "v", "v.mp4", clip_rng(kSeed, index, Purpose::kQuestions))) {
    Annotation annotation = *parse_annotation(nlohmann::json(record));
    ConversionLosses losses;
    auto labels = label_turns(annotation, clip.num_seconds, 1.0, &losses);
    EXPECT_EQ(losses.total(), 0) << record.dump();
    const int asked_at = static_cast<int>(turn_index(*annotation.questions.back().time, 1.0));
    labelled.push_back({std::move(annotation), std::move(labels), asked_at});
  }
  return labelled;
}

// The state that follows from what is in view: standby while it lasts, the answer in the first
// second after.
State expected_state(bool now, bool before, int turn, int asked_at) {
  if (now && turn >= asked_at) return State::kStandby;
  return !now && before && turn > asked_at ? State::kResponse : State::kSilence;
}

// By its full name, as any shape of its colour, or as any of its kind.
bool is_named(const Shape& shape, const std::string& question) {
  for (const std::string& name : {display_name(shape), display_name(shape.colour) + " shape",
                                  " a " + display_name(shape.kind)}) {
    if (question.find(name) != std::string::npos) return true;
  }
  return false;
}

// The shape in view at that second that the question names.
std::optional<Shape> named_shape(const std::string& question, const Clip& clip, int second) {
  for (const Passage* passage : clip.visible_at(second)) {
    if (is_named(passage->shape, question)) return passage->shape;
  }
  return std::nullopt;
}

// Is what the record is about in view at that second?
bool in_view(const Clip& clip, const Annotation& annotation, int second) {
  if (annotation.task_type == "caption") {
    return std::any_of(clip.scenes.begin(), clip.scenes.end(),
                       [&](const Scene& scene) { return scene.seconds.holds(second); });
  }
  if (annotation.task_type == "narration") return !clip.visible_at(second).empty();
  return named_shape(annotation.questions.back().content, clip, second).has_value();
}

TEST(ExampleRecords, StatesFollowWhatIsInView) {
  std::map<std::string, int> records;
  for (int64_t i = 0; i < 200; ++i) {
    const Clip clip = plan_clip(kSeed, i);
    for (const auto& [annotation, labels, asked_at] : label_clip(clip, i)) {
      SCOPED_TRACE(fmt::format("clip {} {}", i, annotation.task_type));
      ++records[annotation.task_type];
      if (annotation.task_type == "qa") continue;
      for (int turn = 0; turn < clip.num_seconds; ++turn) {
        const State expected = expected_state(in_view(clip, annotation, turn),
                                              in_view(clip, annotation, turn - 1), turn, asked_at);
        ASSERT_EQ(labels[static_cast<size_t>(turn)].state, expected) << turn;
      }
    }
  }
  for (const char* task : {"narration", "caption", "grounding", "qa"}) {
    EXPECT_GT(records[task], 20) << task;
  }
}

TEST(ExampleRecords, GroundingNamesTheShapeThatHasLeft) {
  std::set<std::string> ways;  // of naming what is wanted
  int silent = 0;
  for (int64_t i = 0; i < 100; ++i) {
    const Clip clip = plan_clip(kSeed, i);
    for (const auto& [annotation, labels, asked_at] : label_clip(clip, i)) {
      if (annotation.task_type != "grounding") continue;
      const std::string& question = annotation.questions.back().content;
      ways.insert(question.find(" shape") != std::string::npos ? "colour"
                  : question.find(" a ") != std::string::npos  ? "kind"
                                                               : "both");
      silent += annotation.responses.empty();
      for (int turn = 1; turn < clip.num_seconds; ++turn) {
        const TurnLabel& label = labels[static_cast<size_t>(turn)];
        if (label.state != State::kResponse) continue;
        const auto left = named_shape(question, clip, turn - 1);
        ASSERT_TRUE(left);
        EXPECT_EQ(label.answer, "The " + display_name(*left) + " has left.");
      }
    }
  }
  EXPECT_EQ(ways.size(), 3);
  EXPECT_GT(silent, 50) << "what never comes is asked for too";
}

TEST(ExampleRecords, QuestionsAreAnsweredInTheirOwnTurnByWhatIsInView) {
  int answers = 0, yes = 0, no = 0;
  for (int64_t i = 0; i < 600; ++i) {
    const Clip clip = plan_clip(kSeed, i);
    for (const auto& [annotation, labels, asked_at] : label_clip(clip, i)) {
      if (annotation.task_type != "qa") continue;
      for (const Question& question : annotation.questions) {
        const auto turn = turn_index(*question.time, 1.0);
        const TurnLabel& label = labels[static_cast<size_t>(turn)];
        if (question.content.find('?') == std::string::npos) continue;  // "Watch the video."
        ASSERT_EQ(label.state, State::kResponse);
        const auto visible = clip.visible_at(static_cast<int>(turn));
        EXPECT_EQ(label.answer == "Nothing.", visible.empty());
        if (question.content.starts_with("What shape") && !visible.empty()) {
          EXPECT_EQ(label.answer, "A " + display_name(visible.front()->shape) + ".");
        }
        if (question.content.starts_with("Do you see")) {
          const bool there =
              named_shape(question.content, clip, static_cast<int>(turn)).has_value();
          EXPECT_EQ(label.answer, there ? "Yes." : "No.");
          ++(there ? yes : no);
        }
        ++answers;
      }
    }
  }
  EXPECT_GT(answers, 300);
  EXPECT_GT(yes, 60);
  EXPECT_GT(no, 60);
}

TEST(ExampleScenes, ClipsVaryAndStatesAreInBalance) {
  std::set<std::pair<int, int>> sizes, rates;
  std::map<State, double> turns;
  double all = 0;
  for (int64_t i = 0; i < 200; ++i) {
    const Clip clip = plan_clip(kSeed, i);
    sizes.emplace(clip.encoding.size.height, clip.encoding.size.width);
    rates.emplace(clip.encoding.rate_num, clip.encoding.rate_den);
    for (int second = 0; second < clip.num_seconds; ++second) {
      EXPECT_LE(clip.visible_at(second).size(), 2);
    }
    for (const auto& record : label_clip(clip, i)) {
      for (const TurnLabel& label : record.labels) ++turns[label.state];
      all += static_cast<double>(record.labels.size());
    }
  }
  EXPECT_GE(sizes.size(), 5);
  EXPECT_GE(rates.size(), 7);
  EXPECT_GT(turns[State::kSilence] / all, 0.5);
  EXPECT_GT(turns[State::kStandby] / all, 0.12);
  EXPECT_GT(turns[State::kResponse] / all, 0.08);
}

}  // namespace
}  // namespace streamo::data
