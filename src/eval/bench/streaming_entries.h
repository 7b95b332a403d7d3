// The questions of a StreamingBench file, with or without answers of models.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "streamo/eval/benchmark.h"

namespace streamo::eval {

// `answer`: all but protocol, question and response. `dialogue`: of a sequence of questions about
// one video what was said before, kept by the visitor; else null.
using QuestionVisitor =
    std::function<void(const nlohmann::json& question, Answer answer, std::string* dialogue)>;

// Throws core::Error{kData} naming file and entry; what the visitor throws about JSON, likewise.
void for_each_question(const std::filesystem::path& path, const QuestionVisitor& visit);

}  // namespace streamo::eval
