// Recognises the benchmark of an annotation file and loads its questions.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "eval/bench/annotation.h"
#include "eval/bench/ovo_bench.h"
#include "eval/bench/streaming_bench.h"
#include "streamo/core/error.h"
#include "streamo/text/chat_format.h"

namespace streamo::eval {
namespace {

using nlohmann::json;

bool is_ovo(const json& entry) {
  return entry.is_object() && entry.contains("task") && entry.contains("id") &&
         (entry.contains("realtime") || entry.contains("test_info"));
}

bool is_streaming(const json& entry) {
  if (entry.is_array()) return !entry.empty() && is_streaming(entry[0]);
  return entry.is_object() && entry.contains("questions") && entry.contains("video_path");
}

void require_plain_questions(const std::filesystem::path& path, const Episode& play) {
  for (const std::string& question : {play.question, play.poll_question}) {
    text::require_plain_text(question, core::ErrorKind::kData,
                             path.string() + ", " + play.answers[0].id);
  }
}

}  // namespace

std::vector<Episode> load_benchmark(const std::filesystem::path& annotation,
                                    const LoadOptions& options) {
  const json entries = read_json_or_lines(annotation);
  const json first = entries.is_array() && !entries.empty() ? entries[0] : json();
  std::vector<Episode> plays;
  if (is_ovo(first)) {
    size_t number = 0;
    for (const json& entry : entries) {
      read_entry(annotation, fmt::format("entry {}", ++number),
                 [&] { add_ovo_plays(entry, options, plays); });
    }
  } else if (is_streaming(first)) {
    plays = streaming_plays(annotation, entries, options);
  } else {
    throw core::Error(core::ErrorKind::kData, "no annotations of a known benchmark",
                      annotation.string(),
                      "OVO-Bench: data/ovo_bench_new.json; StreamingBench: questions_*.json");
  }
  if (plays.empty()) {
    throw core::Error(core::ErrorKind::kUsage,
                      fmt::format("no entry of the tasks {}", fmt::join(options.tasks, ", ")),
                      annotation.string(), "tasks are named as in the file");
  }
  for (const Episode& play : plays) require_plain_questions(annotation, play);
  return plays;
}

}  // namespace streamo::eval
