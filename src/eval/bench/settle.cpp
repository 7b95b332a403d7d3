// Derives the answers to a benchmark's questions from a watch of the stream.
#include <algorithm>
#include <cctype>

#include "eval/bench/ovo_bench.h"
#include "eval/benchmark.h"
#include "streamo/core/error.h"
#include "text/trim.h"

namespace streamo::eval {
namespace {

// "C", "C. 3" -> 3; "3 times" -> 3; else the text as it is.
std::string parse_count(const std::string& answer) {
  const std::string text(text::trimmed(answer));
  const auto is_alnum = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'J' && (text.size() == 1 || !is_alnum(text[1])))
    return std::to_string(text[0] - 'A' + 1);
  return text;
}

// REC: the last count said by then, 0 before the first. CRR: has it answered? SSR: is the step in
// progress, that is on standby? A watch that ended earlier, as it had answered, is on standby no
// more.
std::string forward_response(const Answer& answer, const std::vector<BenchmarkRound>& rounds) {
  std::string said = answer.task == "REC" ? "0" : "No";
  for (const BenchmarkRound& round : rounds) {
    if (round.second > *answer.truth_second) break;
    if (answer.task == "SSR") {
      said = round.state == text::State::kStandby ? "Yes" : "No";
    } else if (round.state == text::State::kResponse) {
      said = answer.task == "REC" ? parse_count(round.answer) : "Yes";
    }
  }
  return said;
}

}  // namespace

void settle(Episode& play, const std::vector<BenchmarkRound>& rounds) {
  const auto first = std::find_if(rounds.begin(), rounds.end(), [](const BenchmarkRound& round) {
    return round.state == text::State::kResponse;
  });
  for (Answer& answer : play.answers) {
    if (answer.benchmark == kOvoBench && is_forward_task(answer.task) &&
        answer.protocol == kStreamo) {
      answer.response = forward_response(answer, rounds);
    } else if (first != rounds.end()) {
      answer.response = first->answer;
      if (answer.truth_second) answer.second = first->second;
    }
  }
}

}  // namespace streamo::eval
