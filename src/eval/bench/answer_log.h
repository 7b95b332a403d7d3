// The answer file of a run: a line an answer, and the run goes on where it was left.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "eval/benchmark.h"

namespace streamo::eval {

class AnswerLog {
 public:
  // Reads what is there and cuts off a last line that is not whole. `model` and `context` must be
  // those of every line. Throws core::Error as run_benchmark() says.
  AnswerLog(std::filesystem::path path, std::string model, double context);
  ~AnswerLog();
  AnswerLog(const AnswerLog&) = delete;
  AnswerLog& operator=(const AnswerLog&) = delete;

  bool has(const Answer& answer) const { return keys_.contains(answer_key(answer)); }
  void append(const Answer& answer);

 private:
  void take_over(const std::string& line, size_t number);

  std::filesystem::path path_;
  std::string model_;
  double context_;
  std::set<std::string> keys_;
  int fd_ = -1;
};

}  // namespace streamo::eval
