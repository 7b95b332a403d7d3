// StreamingBench: the questions of a file, with or without answers of models, and as plays.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "eval/benchmark.h"

namespace streamo::eval {

// `answer`: all but protocol, question and response. `dialogue`: of a sequence of questions about
// one video what was said before, kept by the visitor; else null.
using QuestionVisitor =
    std::function<void(const nlohmann::json& question, Answer answer, std::string* dialogue)>;

// `entries`: the content of the file. Throws core::Error{kData} naming `path` and the entry; what
// the visitor throws, likewise.
void for_each_question(const std::filesystem::path& path, const nlohmann::json& entries,
                       const QuestionVisitor& visit);

std::vector<Episode> streaming_plays(const std::filesystem::path& path,
                                     const nlohmann::json& entries, const LoadOptions& options);

}  // namespace streamo::eval
