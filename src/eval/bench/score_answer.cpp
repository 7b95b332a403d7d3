// Decides whether an answer is correct: by the rules of the benchmarks' own scripts, and strictly.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "eval/bench/annotation.h"
#include "eval/bench/ovo_bench.h"
#include "eval/benchmark_score.h"
#include "streamo/core/error.h"
#include "text/trim.h"

namespace streamo::eval {
namespace {

constexpr double kProactiveTolerance = 2;  // seconds, StreamingBench's count.py

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string all_digits(const std::string& text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits), is_digit);
  return digits;
}

// The first stretch of ASCII letters and digits.
std::string first_word(const std::string& text) {
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  const auto begin = std::find_if(text.begin(), text.end(), is_word);
  return {begin, std::find_if_not(begin, text.end(), is_word)};
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// utils/OVOBenchScore.py
PointScore score_ovo(const Answer& answer, const std::string& said) {
  if (answer.task == "REC") {
    const std::string number = first_word(said);
    return {all_digits(said) == answer.truth,
            number == answer.truth && all_digits(said) == answer.truth};
  }
  if (answer.task == "SSR" || answer.task == "CRR") {
    const std::string word = lower(first_word(said)), truth = lower(answer.truth);
    return {said == answer.truth.substr(0, 1) || contains(said, answer.truth),
            word == truth || word == truth.substr(0, 1)};
  }
  return {contains(said, answer.truth), first_word(said) == answer.truth};
}

// src/data/count.py
PointScore score_streaming(const Answer& answer, const std::string& said) {
  if (!answer.truth_second) {
    return {said.substr(0, 1) == answer.truth, first_word(said) == answer.truth};
  }
  const bool on_time =
      answer.second && std::abs(*answer.second - *answer.truth_second) <= kProactiveTolerance;
  return {on_time && contains(said, answer.truth),
          on_time && text::trimmed(said) == text::trimmed(answer.truth), on_time};
}

// "1468" of "1468/0".
std::string entry_id(const std::string& id) {
  return id.substr(0, id.find('/'));
}

const bool* verdict_on(const Answer& answer, const Verdicts& verdicts) {
  auto found = verdicts.find(answer.id);
  if (found == verdicts.end()) found = verdicts.find(entry_id(answer.id));
  return found == verdicts.end() ? nullptr : &found->second;
}

}  // namespace

int64_t unused_verdicts(const std::vector<Answer>& answers, const Verdicts& verdicts) {
  std::set<std::string> ids;
  for (const Answer& answer : answers) {
    ids.insert(answer.id);
    ids.insert(entry_id(answer.id));
  }
  return std::count_if(verdicts.begin(), verdicts.end(),
                       [&](const auto& verdict) { return !ids.contains(verdict.first); });
}

PointScore score_answer(const Answer& answer, const Verdicts& verdicts) {
  if (!answer.response) return {};
  PointScore score = answer.benchmark == kOvoBench ? score_ovo(answer, *answer.response)
                                                   : score_streaming(answer, *answer.response);
  const bool* verdict = verdict_on(answer, verdicts);
  if (verdict == nullptr) return score;
  if (answer.benchmark == kOvoBench && answer.protocol == kStreamo &&
      is_forward_task(answer.task)) {
    return score;  // no text, but what was said by then
  }
  score.right = score.strict = *verdict && (score.on_time || !answer.truth_second);
  return score;
}

Verdicts read_verdicts(const std::filesystem::path& path) {
  Verdicts verdicts;
  const nlohmann::json lines = read_json_or_lines(path);
  size_t number = 0;
  const auto read = [&](const nlohmann::json& line) {
    read_entry(path, "line " + std::to_string(++number),
               [&] { verdicts[id_text(line.at("id"))] = line.at("right").get<bool>(); });
  };
  if (lines.is_object()) {
    read(lines);
  } else {
    for (const nlohmann::json& line : lines) read(line);
  }
  return verdicts;
}

}  // namespace streamo::eval
