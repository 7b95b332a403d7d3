// Reads result files, our own and those of other tools.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "eval/bench/annotation.h"
#include "eval/bench/ovo_bench.h"
#include "eval/bench/streaming_bench.h"
#include "streamo/core/error.h"
#include "text/trim.h"

namespace streamo::eval {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Some published files have the answer as a list of one text.
std::optional<std::string> text_or_none(const json& entry, const char* key) {
  if (!entry.contains(key) || entry.at(key).is_null()) return std::nullopt;
  const json& value = entry.at(key);
  return (value.is_array() && value.size() == 1 ? value[0] : value).get<std::string>();
}

std::optional<double> number_or_none(const json& entry, const char* key) {
  if (!entry.contains(key) || entry.at(key).is_null()) return std::nullopt;
  return entry.at(key).get<double>();
}

Answer parse_own(const json& line) {
  Answer answer;
  line.at("benchmark").get_to(answer.benchmark);
  line.at("protocol").get_to(answer.protocol);
  line.at("task").get_to(answer.task);
  line.at("id").get_to(answer.id);
  line.at("truth").get_to(answer.truth);
  answer.video = line.value("video", "");
  answer.question = line.value("question", "");
  answer.response = text_or_none(line, "response");
  answer.truth_second = number_or_none(line, "truth_second");
  answer.second = number_or_none(line, "second");
  if (answer.benchmark != kOvoBench && answer.benchmark != kStreamingBench) {
    throw std::runtime_error("no such benchmark: " + answer.benchmark);
  }
  return answer;
}

// ---- OVO-Bench's own result files ----

Answer ovo_answer(const json& entry, const std::string& protocol) {
  Answer answer;
  answer.benchmark = kOvoBench;
  answer.protocol = protocol;
  answer.task = entry.at("task").get<std::string>();
  answer.video = entry.value("video", "");
  answer.id = id_text(entry.at("id"));
  return answer;
}

void add_ovo_result(const json& entry, bool forward, std::vector<Answer>& answers) {
  Answer answer = ovo_answer(entry, kOfficial);
  answer.question = entry.value("question", "");
  if (!forward) {
    answer.truth = entry.at("ground_truth").get<std::string>();
    answer.response = text_or_none(entry, "response");
    answers.push_back(std::move(answer));
    return;
  }
  const std::string id = answer.id;
  int64_t index = 0;
  for (const json& point : entry.at("test_info")) {
    answer.id = fmt::format("{}/{}", id, index++);
    answer.truth = forward_truth(answer.task, point);
    answer.response = text_or_none(point, "response");
    answers.push_back(answer);
  }
}

std::vector<Answer> read_ovo_results(const fs::path& path, const json& whole) {
  std::vector<Answer> answers;
  for (const char* part : {"backward", "realtime", "forward"}) {
    if (!whole.contains(part)) continue;
    size_t number = 0;
    for (const json& entry : whole.at(part)) {
      read_entry(path, fmt::format("{} entry {}", part, ++number),
                 [&] { add_ovo_result(entry, part == std::string("forward"), answers); });
    }
  }
  return answers;
}

// ---- The lines of Streamo's script ----

// {"Round 12": "</Response> B. ..."} in the order of the rounds.
std::vector<BenchmarkRound> parse_rounds(const json& output) {
  std::vector<BenchmarkRound> rounds;
  for (const auto& [key, value] : output.items()) {
    BenchmarkRound round;
    round.second = static_cast<double>(std::stoll(key.substr(key.find(' ') + 1)));
    const std::string said = value.is_string() ? value.get<std::string>() : "";
    for (size_t i = 0; i < text::kStateTokens.size(); ++i) {
      const size_t at = said.find(text::kStateTokens[i]);
      if (at == std::string::npos) continue;
      round.state = static_cast<text::State>(i);
      round.answer =
          text::trimmed(std::string_view(said).substr(at + text::kStateTokens[i].size()));
    }
    rounds.push_back(std::move(round));
  }
  std::sort(rounds.begin(), rounds.end(),
            [](const BenchmarkRound& a, const BenchmarkRound& b) { return a.second < b.second; });
  return rounds;
}

void add_streamo_line(const json& entry, std::vector<Answer>& answers) {
  Episode play;
  Answer answer = ovo_answer(entry, kStreamo);
  if (!is_forward_task(answer.task)) {
    answer.truth = option_letter(entry.at("gt").get<int64_t>());
    play.answers = {answer};
  } else {
    const bool steps = answer.task == "SSR";
    const std::string id = steps ? id_text(entry.at("original_id")) : answer.id;
    int64_t index = 0;
    for (const json& point : entry.at("gt")) {
      answer.id = fmt::format("{}/{}", id, index++);
      if (steps && point.at("step") != entry.at("step_question")) continue;
      answer.truth = forward_truth(answer.task, point);
      answer.truth_second = std::floor(point.at("realtime").get<double>());
      play.answers.push_back(answer);
    }
  }
  settle(play, parse_rounds(entry.at("output")));
  answers.insert(answers.end(), play.answers.begin(), play.answers.end());
}

// ---- StreamingBench's annotation with answers in it ----

// What a question has of its own; any other key is the name of a model.
bool is_known_key(const std::string& key) {
  static const std::array<std::string_view, 13> kKeys = {
      "task_type",          "question",   "cause",   "effect",
      "time_stamp",         "answer",     "options", "time",
      "required_ability",   "audio_path", "frames",  "ground_truth_time_stamp",
      "ground_truth_output"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

std::string answering_model(const json& question, const std::string& name) {
  if (!name.empty()) return name;
  std::string found;
  for (const auto& [key, value] : question.items()) {
    if (is_known_key(key)) continue;
    if (!found.empty()) throw std::runtime_error(found + " or " + key + "? give --name");
    found = key;
  }
  return found;
}

// As the benchmark's count.py: questions without an answer of the model are not counted.
std::vector<Answer> read_streaming_results(const fs::path& path, const json& entries,
                                           const std::string& name) {
  std::vector<Answer> answers;
  for_each_question(path, entries, [&](const json& question, Answer answer, std::string*) {
    const std::string model = answering_model(question, name);
    if (model.empty() || !question.contains(model)) return;
    const json& said = question.at(model);
    answer.protocol = kOfficial;
    answer.question = question.at("question").get<std::string>();
    if (answer.truth_second) {
      const json& history = said.at("dialog_history");
      const json& last = history.at(history.size() - 1);  // throws when there is none
      answer.response = text_or_none(last, "content");
      answer.second = last.at("time").get<double>();
    } else {
      if (said.is_null() || said.get<std::string>().empty()) return;
      answer.response = said.get<std::string>();
    }
    answers.push_back(std::move(answer));
  });
  return answers;
}

}  // namespace

std::string answer_key(const Answer& answer) {
  return answer.benchmark + " " + answer.protocol + " " + answer.id;
}

nlohmann::ordered_json to_json(const Answer& answer) {
  nlohmann::ordered_json json = {
      {"benchmark", answer.benchmark}, {"protocol", answer.protocol}, {"id", answer.id},
      {"task", answer.task},           {"video", answer.video},       {"question", answer.question},
      {"truth", answer.truth},         {"response", nullptr}};
  if (answer.response) json["response"] = *answer.response;
  if (answer.truth_second) {
    json["truth_second"] = *answer.truth_second;
    json["second"] = nullptr;
    if (answer.second) json["second"] = *answer.second;
  }
  return json;
}

std::vector<Answer> read_answers(const fs::path& path, const std::string& name) {
  json whole = read_json_or_lines(path);
  if (whole.is_object() &&
      (whole.contains("backward") || whole.contains("realtime") || whole.contains("forward"))) {
    return read_ovo_results(path, whole);
  }
  if (whole.is_object()) whole = json::array({whole});  // JSON Lines of one line
  const json first = whole.is_array() && !whole.empty() ? whole[0] : json();
  if (first.is_array() || first.contains("questions")) {
    return read_streaming_results(path, whole, name);
  }
  if (!first.contains("benchmark") && !first.contains("output")) {
    throw core::Error(core::ErrorKind::kData, "no result file of a known benchmark", path.string(),
                      "see docs/evaluation.md for the formats");
  }
  std::vector<Answer> answers;
  size_t number = 0;
  for (const json& line : whole) {
    read_entry(path, fmt::format("line {}", ++number), [&] {
      if (first.contains("benchmark")) {
        answers.push_back(parse_own(line));
      } else {
        add_streamo_line(line, answers);
      }
    });
  }
  return answers;
}

}  // namespace streamo::eval
