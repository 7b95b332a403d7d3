// Timelines to JSON and back. The report rounds probabilities to four digits; ranks exchange them
// exactly.
#include "eval/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/json/json.h"
#include "streamo/core/error.h"

namespace streamo::eval {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHint =
    "give a file of `streamo eval --out FILE`, or eval-<step>.json of a run";

text::State parse_state(const Json& turn, const char* key) {
  const auto name = turn.at(key).get<std::string>();
  const auto found = std::find(text::kStateNames.begin(), text::kStateNames.end(), name);
  if (found == text::kStateNames.end()) {
    throw core::Error(core::ErrorKind::kData, name + " is no state");
  }
  return static_cast<text::State>(found - text::kStateNames.begin());
}

// `written`: a probability as it is to be read.
template <typename Written>
Json serialize_timeline(const Timeline& timeline, const Written& written) {
  Json turns = Json::array();
  for (const TurnOutcome& turn : timeline.turns) {
    Json entry;
    if (!turn.question.empty()) entry["question"] = turn.question;
    entry["truth"] = text::state_name(turn.truth);
    entry["predicted"] = text::state_name(turn.predicted);
    entry["truth_answer"] = turn.truth_answer;
    entry["answer"] = turn.answer;
    for (const float probability : turn.probabilities)
      entry["probabilities"].push_back(written(probability));
    turns.push_back(std::move(entry));
  }
  return {{"id", timeline.id},
          {"video_name", timeline.video_name},
          {"task_type", timeline.task_type},
          {"source", timeline.source},
          {"fps", timeline.fps},
          {"turns", std::move(turns)}};
}

}  // namespace

nlohmann::ordered_json to_json(const Timeline& timeline) {
  return serialize_timeline(timeline,
                            [](float probability) { return std::round(1e4 * probability) / 1e4; });
}

nlohmann::ordered_json to_exact_json(const Timeline& timeline) {
  return serialize_timeline(timeline, [](float probability) { return probability; });
}

Timeline parse_timeline(const Json& json) {
  Timeline timeline{json.value("id", ""),         json.value("video_name", ""),
                    json.value("task_type", ""),  json.value("source", ""),
                    json.at("fps").get<double>(), {}};
  if (!(timeline.fps > 0)) throw core::Error(core::ErrorKind::kData, "fps must be positive");
  for (const Json& turn : json.at("turns")) {
    timeline.turns.push_back({turn.value("question", ""), parse_state(turn, "truth"),
                              parse_state(turn, "predicted"), turn.value("truth_answer", ""),
                              turn.value("answer", ""),
                              turn.at("probabilities").get<std::array<float, text::kNumStates>>()});
  }
  return timeline;
}

StoredEvaluation read_evaluation(const std::filesystem::path& path) {
  const auto refuse = [&](const std::string& what) {
    throw core::Error(core::ErrorKind::kData, what, path.string(), kHint);
  };
  const Json json = core::require_json_object<Json>(path, core::ErrorKind::kData, kHint,
                                                    {.max_bytes = uint64_t{1} << 30});
  if (!json.contains("timelines") || !json["timelines"].is_array()) {
    refuse("no evaluation with timelines");
  }
  StoredEvaluation evaluation;
  evaluation.teacher_forced = json.contains("mode") && json["mode"] == "teacher_forced";
  std::vector<Timeline>& timelines = evaluation.timelines;
  for (const Json& entry : json["timelines"]) {
    try {
      timelines.push_back(parse_timeline(entry));
    } catch (const std::exception& error) {  // of the JSON library, or a wrong value
      refuse(fmt::format("timeline {} is not readable ({})", timelines.size() + 1, error.what()));
    }
  }
  if (timelines.empty()) refuse("no timeline in it");
  return evaluation;
}

std::vector<Timeline> read_timelines(const std::filesystem::path& path) {
  return read_evaluation(path).timelines;
}

}  // namespace streamo::eval
