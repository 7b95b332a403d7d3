// Picks the one annotated sample that matches a video, and a question if there are several.
#include "app/watch/watch_truth.h"

#include <filesystem>
#include <system_error>

#include "eval/evaluator.h"

namespace streamo::app {
namespace {

namespace fs = std::filesystem;

bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  return a == b || fs::equivalent(a, b, error);
}

}  // namespace

WatchTruth::WatchTruth(const data::SampleSource& source, const std::string& video,
                       const std::string& question) {
  for (size_t i = 0; i < source.size(); ++i) {
    const auto path = source.video_path(i);
    if (!path || !is_same_file(*path, video)) continue;
    const auto conversation = source.conversation(i);
    if (!conversation) continue;
    const std::vector<text::Message>& messages = conversation->messages;
    std::vector<eval::TurnOutcome> turns;
    bool asks = question.empty();
    for (size_t m = messages[0].role == "system" ? 1 : 0; m + 1 < messages.size(); m += 2) {
      turns.push_back(eval::annotated_turn(messages[m].content, messages[m + 1].content)
                          .value_or(eval::TurnOutcome{}));
      asks |= turns.back().question == question;
    }
    if (!asks) continue;
    turns_ = std::move(turns);
    return;
  }
  throw core::Error(core::ErrorKind::kData,
                    question.empty() ? "no sample of this video"
                                     : "no sample of this video that asks this question",
                    source.files().front().string(), "check --annotations and --question");
}

const eval::TurnOutcome* WatchTruth::at(int64_t turn) const {
  return turn < static_cast<int64_t>(turns_.size()) ? &turns_[static_cast<size_t>(turn)] : nullptr;
}

std::vector<std::pair<int64_t, std::string>> WatchTruth::questions() const {
  std::vector<std::pair<int64_t, std::string>> questions;
  for (size_t turn = 0; turn < turns_.size(); ++turn) {
    if (!turns_[turn].question.empty())
      questions.emplace_back(static_cast<int64_t>(turn), turns_[turn].question);
  }
  return questions;
}

}  // namespace streamo::app
