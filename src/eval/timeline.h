// What a model did with one sample, turn by turn, beside what it should have done. Everything that
// is scored, tuned or drawn starts from this. Free of LibTorch.
#pragma once

#include <array>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "streamo/text/special_tokens.h"

namespace streamo::eval {

struct TurnOutcome {
  std::string question;  // asked in this turn; "" when none
  text::State truth = text::State::kSilence, predicted = text::State::kSilence;
  std::string truth_answer, answer;  // of a response
  std::array<float, text::kNumStates> probabilities{};
};

// One evaluated sample.
struct Timeline {
  std::string id, video_name, task_type, source;
  double fps = 1.0;  // turns a second
  std::vector<TurnOutcome> turns;

  double seconds() const { return static_cast<double>(turns.size()) / fps; }
};

// {id, video_name, task_type, source, fps, turns [{question (if any), truth, predicted,
// truth_answer, answer, probabilities [3]}]}; probabilities are rounded to four digits.
nlohmann::ordered_json to_json(const Timeline& timeline);

// The same with its probabilities to the last bit, for another process of the run; and back, from
// either. parse_timeline() throws for what is no such value.
nlohmann::ordered_json to_exact_json(const Timeline& timeline);
Timeline parse_timeline(const nlohmann::ordered_json& json);

struct StoredEvaluation {
  std::vector<Timeline> timelines;
  bool teacher_forced = false;
};

// A file that `eval --out` or a run (eval-<step>.json) wrote. Throws core::Error{kData} naming the
// file and the entry for what is no such file, or has no timelines.
StoredEvaluation read_evaluation(const std::filesystem::path& path);
std::vector<Timeline> read_timelines(const std::filesystem::path& path);

}  // namespace streamo::eval
