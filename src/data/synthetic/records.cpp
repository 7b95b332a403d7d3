// Writes questions of each task type with answers that follow from the clip. Wrong alternatives
// differ in as little as possible, so that the model has to look.
#include "data/synthetic/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace streamo::data {
namespace {

using nlohmann::ordered_json;
using Texts = std::vector<std::string>;

// Turn k covers the second from k to k + 1 and is named by the time at its end.
std::string name_of_turn(int turn) {
  return fmt::format("{:02}:{:02}", (turn + 1) / 60, (turn + 1) % 60);
}

// One conversation: its questions, and responses in the order in which they fall due.
class Record {
 public:
  Record(std::string task_type, const std::string& video_name, const std::string& video_path)
      : json_{{"video_name", video_name},          {"video_path", video_path},
              {"task_type", std::move(task_type)}, {"source", "synthetic"},
              {"question", ordered_json::array()}, {"response", ordered_json::array()}} {}

  void ask(const std::string& content, int turn) {
    json_["question"].push_back({{"content", content}, {"time", name_of_turn(turn)}});
  }

  // What happened during `seconds` is answered in the second after, if it was asked for by then.
  void answer_event(const std::string& content, Span seconds, int asked_at) {
    if (seconds.last < asked_at) return;
    json_["response"].push_back({{"content", content},
                                 {"st_time", name_of_turn(std::max(seconds.first, asked_at))},
                                 {"end_time", name_of_turn(seconds.last)},
                                 {"time", ""}});
  }

  void answer_now(const std::string& content, int turn) {
    json_["response"].push_back(
        {{"content", content}, {"st_time", ""}, {"end_time", ""}, {"time", name_of_turn(turn)}});
  }

  bool has_answers() const { return !json_["response"].empty(); }
  ordered_json take() { return std::move(json_); }

 private:
  ordered_json json_;
};

std::string capitalised(std::string text) {
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

// "A red circle." No shape or colour of ours begins with a vowel.
std::string answer_sentence(const Shape& shape) {
  return "A " + display_name(shape) + ".";
}

ShapeColour any_colour(core::Rng& rng) {
  return static_cast<ShapeColour>(rng.integer(0, kNumColours - 1));
}

ShapeKind any_kind(core::Rng& rng) {
  return static_cast<ShapeKind>(rng.integer(0, kNumKinds - 1));
}

// What a viewer waits for: one shape by its full name, or any of a colour, or any of a kind.
struct Wanted {
  std::optional<ShapeColour> colour;
  std::optional<ShapeKind> kind;

  explicit Wanted(const Shape& shape) : colour(shape.colour), kind(shape.kind) {}
  explicit Wanted(ShapeColour any_of) : colour(any_of) {}
  explicit Wanted(ShapeKind any_of) : kind(any_of) {}

  bool matches(const Shape& shape) const {
    return colour.value_or(shape.colour) == shape.colour && kind.value_or(shape.kind) == shape.kind;
  }
};

// "the red circle", "a red shape", "a circle"
std::string display_name(const Wanted& wanted) {
  if (wanted.colour && wanted.kind)
    return "the " + display_name(Shape{*wanted.kind, *wanted.colour});
  if (wanted.colour) return "a " + display_name(*wanted.colour) + " shape";
  return "a " + display_name(*wanted.kind);
}

class Interviewer {
 public:
  Interviewer(const Clip& clip, std::string video_name, std::string video_path, core::Rng rng)
      : clip_(clip),
        video_name_(std::move(video_name)),
        video_path_(std::move(video_path)),
        rng_(rng) {}

  ordered_json narration();
  ordered_json captions();
  ordered_json grounding(const Wanted& wanted);
  std::optional<Shape> near_miss(const Shape& shape);
  ordered_json questions_and_answers();

 private:
  Record start(const char* task_type) const { return Record(task_type, video_name_, video_path_); }
  int ask_once(Record& record, const Texts& wordings, int latest_turn);
  const Passage* first_wanted(const Wanted& wanted) const;
  std::pair<std::string, std::string> yes_or_no(const std::vector<const Passage*>& visible);
  std::pair<std::string, std::string> question_for(int second);

  const Clip& clip_;
  std::string video_name_, video_path_;
  core::Rng rng_;
};

const Texts kGreetings{"Watch the video.", "Please watch the video."};

// At the beginning, or some way into the video. Returns the turn.
int Interviewer::ask_once(Record& record, const Texts& wordings, int latest_turn) {
  if (latest_turn < 1 || rng_.chance(0.8)) {
    record.ask(rng_.pick(wordings), 0);
    return 0;
  }
  const int turn = static_cast<int>(rng_.integer(1, latest_turn));
  record.ask(rng_.pick(kGreetings), 0);
  record.ask(rng_.pick(wordings), turn);
  return turn;
}

ordered_json Interviewer::narration() {
  Record record = start("narration");
  const int asked_at =
      ask_once(record,
               {"Describe each event when it is over.", "Report every shape that passes.",
                "Say what has passed each time."},
               clip_.passages.front().visible.last + 2);
  for (const Passage& passage : clip_.passages) {
    record.answer_event(fmt::format("A {} passed.", display_name(passage.shape)), passage.visible,
                        asked_at);
  }
  return record.take();
}

ordered_json Interviewer::captions() {
  Record record = start("caption");
  const int asked_at = ask_once(
      record, {"Describe each scene when it ends.", "Caption every scene once it is over."},
      clip_.scenes.front().seconds.last + 1);
  for (const Scene& scene : clip_.scenes) {
    const std::string tint = display_name(scene.tint);
    record.answer_event(scene.shape
                            ? fmt::format("A {} scene with a {}.", tint, display_name(*scene.shape))
                            : fmt::format("An empty {} scene.", tint),
                        scene.seconds, asked_at);
  }
  return record.take();
}

Texts ways_to_ask_for(const Wanted& wanted) {
  const std::string name = display_name(wanted);
  return {fmt::format("Tell me when {} has left.", name), fmt::format("Say when {} is gone.", name),
          fmt::format("Let me know once {} leaves.", name)};
}

// Where nothing that passes is wanted there is nothing to say from beginning to end: that too has
// to be learnt.
ordered_json Interviewer::grounding(const Wanted& wanted) {
  Record record = start("grounding");
  const Passage* first = first_wanted(wanted);
  const int asked_at = ask_once(record, ways_to_ask_for(wanted),
                                first ? first->visible.last + 1 : clip_.num_seconds - 1);
  for (const Passage& passage : clip_.passages) {
    if (!wanted.matches(passage.shape)) continue;
    record.answer_event(fmt::format("The {} has left.", display_name(passage.shape)),
                        passage.visible, asked_at);
  }
  return record.take();
}

// Null: none passes.
const Passage* Interviewer::first_wanted(const Wanted& wanted) const {
  const auto found =
      std::find_if(clip_.passages.begin(), clip_.passages.end(),
                   [&](const Passage& passage) { return wanted.matches(passage.shape); });
  return found == clip_.passages.end() ? nullptr : &*found;
}

// A shape that does not pass and differs from this one in nothing but its colour; none where all of
// them do.
std::optional<Shape> Interviewer::near_miss(const Shape& shape) {
  std::vector<Shape> candidates;
  for (int colour = 0; colour < kNumColours; ++colour) {
    const Shape candidate{shape.kind, static_cast<ShapeColour>(colour)};
    if (!first_wanted(Wanted(candidate))) candidates.push_back(candidate);
  }
  if (candidates.empty()) return std::nullopt;
  return rng_.pick(candidates);
}

// Half of the shapes asked for are there, the others differ from one that is in kind, colour or
// both. To compare what is asked with what is seen is all there is to grounding, and here every
// answer teaches it.
std::pair<std::string, std::string> Interviewer::yes_or_no(
    const std::vector<const Passage*>& visible) {
  const Shape seen = rng_.pick(visible)->shape;
  const auto is_visible = [&](const Shape& shape) {
    return std::any_of(visible.begin(), visible.end(),
                       [&](const Passage* passage) { return passage->shape == shape; });
  };
  Shape asked = seen;
  if (rng_.chance(0.5)) {
    while (is_visible(asked)) {
      asked = seen;
      const double which = rng_.uniform();
      if (which < 0.6) asked.kind = any_kind(rng_);
      if (which > 0.4) asked.colour = any_colour(rng_);
    }
  }
  return {fmt::format("Do you see a {} now?", display_name(asked)),
          is_visible(asked) ? "Yes." : "No."};
}

// A question about what is to be seen at that second, and the answer.
std::pair<std::string, std::string> Interviewer::question_for(int second) {
  const auto visible = clip_.visible_at(second);
  if (!visible.empty() && rng_.chance(0.2)) return yes_or_no(visible);
  if (visible.size() == 2) {
    const bool left = rng_.chance(0.5);
    const bool first_is_left = visible.front()->lane == Lane::kLeft;
    const Passage& asked = left == first_is_left ? *visible.front() : *visible.back();
    return {fmt::format("Which shape is on the {}?", left ? "left" : "right"),
            answer_sentence(asked.shape)};
  }
  if (visible.empty() || rng_.chance(0.6)) {
    return {rng_.pick(Texts{"What shape is visible now?", "Which shape do you see now?"}),
            visible.empty() ? "Nothing." : answer_sentence(visible.front()->shape)};
  }
  const Shape& shape = visible.front()->shape;
  return {fmt::format("What colour is the {}?", display_name(shape.kind)),
          capitalised(display_name(shape.colour)) + "."};
}

ordered_json Interviewer::questions_and_answers() {
  Record record = start("qa");
  std::vector<int> turns;
  int turn = static_cast<int>(rng_.integer(0, 3));
  while (turns.size() < 8 && turn < clip_.num_seconds) {
    // Rather ask when there is something to name: empty seconds are in the majority.
    const bool dull = clip_.visible_at(turn).empty() && rng_.chance(0.6);
    if (dull && turn + 1 < clip_.num_seconds) {
      ++turn;
      continue;
    }
    turns.push_back(turn);
    turn += static_cast<int>(rng_.integer(1, 4));
  }
  if (turns.front() > 0) record.ask(rng_.pick(kGreetings), 0);
  for (const int second : turns) {
    const auto [question, answer] = question_for(second);
    record.ask(question, second);
    record.answer_now(answer, second);
  }
  return record.take();
}

}  // namespace

std::vector<ordered_json> annotate_clip(const Clip& clip, const std::string& video_name,
                                        const std::string& video_path, core::Rng rng) {
  std::vector<const Passage*> targets;
  for (const Passage& passage : clip.passages) targets.push_back(&passage);
  rng.shuffle(targets);
  Interviewer interviewer(clip, video_name, video_path, core::Rng({rng.next()}));
  std::vector<ordered_json> records;
  if (!clip.scenes.empty()) records.push_back(interviewer.captions());
  if (!clip.passages.empty() && clip.passages_are_apart())
    records.push_back(interviewer.narration());
  // Several of one clip: what sets them apart is the question alone.
  for (size_t i = 0; i < std::min<size_t>(2, targets.size()); ++i) {
    records.push_back(interviewer.grounding(Wanted(targets[i]->shape)));
  }
  if (!targets.empty()) {
    if (const auto absent = interviewer.near_miss(targets.back()->shape)) {
      records.push_back(interviewer.grounding(Wanted(*absent)));
    }
  }
  // Full names alone teach little about colours: of two shapes that share the kind, few clips show
  // both. Of a colour about half of what passes is wanted, of a kind a third: only comparing tells.
  if (clip.passages_are_apart()) {
    const ShapeColour colour = any_colour(rng);
    const ShapeKind kind = any_kind(rng);
    records.push_back(interviewer.grounding(Wanted(colour)));
    if (!targets.empty()) {
      records.push_back(interviewer.grounding(Wanted(targets.front()->shape.colour)));
    }
    records.push_back(interviewer.grounding(Wanted(kind)));
  }
  records.push_back(interviewer.questions_and_answers());
  return records;
}

}  // namespace streamo::data
