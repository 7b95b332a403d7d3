// Writes records as they arrive, and the report last: its presence is what marks an output file as
// ours to overwrite.
#include "data/convert/conversion_output.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "core/io/output.h"
#include "core/json/dump_json.h"
#include "core/log.h"
#include "core/url.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using core::ErrorKind;

constexpr size_t kSkippedShown = 3;  // on stderr; all of them stand in the report

struct LossKind {
  const char* name;
  std::vector<std::string> ConversionLosses::*entries;
};
constexpr std::array kLossKinds = {
    LossKind{"overwritten_answers", &ConversionLosses::overwritten_answers},
    LossKind{"out_of_range", &ConversionLosses::out_of_range},
    LossKind{"unreadable_times", &ConversionLosses::unreadable_times},
    LossKind{"end_before_start", &ConversionLosses::end_before_start},
    LossKind{"truncated", &ConversionLosses::truncated}};

// The output is ours when the report beside it says that one was written.
fs::path file_to_write(const fs::path& input, const fs::path& output) {
  const core::IsOurs is_report = core::holds_mark("\"converted\": ");
  const core::IsOurs is_ours = [&](const fs::path&) {
    return is_report(report_path(output)) &&
           !core::holds_mark("\"converted\": 0,")(report_path(output));
  };
  core::output_file(report_path(output), {input}, is_report);
  return core::output_file(output, {input}, is_ours);
}

}  // namespace

nlohmann::ordered_json ConversionReport::to_json() const {
  nlohmann::ordered_json json = {{"samples", samples}, {"converted", converted}, {"turns", turns}};
  json["skipped"] = nlohmann::ordered_json::array();
  for (const auto& [id, reason] : skipped) {
    json["skipped"].push_back({{"id", id}, {"reason", reason}});
  }
  for (const LossKind& kind : kLossKinds) {
    const std::vector<std::string>& entries = losses.*kind.entries;
    json["losses"][kind.name] = {{"count", entries.size()}, {"entries", entries}};
  }
  return json;
}

fs::path report_path(const fs::path& output) {
  return output.string() + ".report.json";
}

ConversionOutput::ConversionOutput(const RecordFile& input, const fs::path& output)
    : input_(input), path_(output), writer_(file_to_write(input.path(), output)) {
  report_.samples = input.size();
  if (input_.layout() == RecordLayout::kArray) writer_.write("[");
}

void ConversionOutput::add(size_t index, core::Result<Converted> result) {
  const std::string id = fmt::format("{}:{}", input_.path().filename().string(), index);
  if (!result) {
    report_.skipped.emplace_back(id, result.reason());
    return;
  }
  write_record(result->text);
  ++report_.converted;
  report_.turns += result->turns;
  for (const LossKind& kind : kLossKinds) {
    for (const std::string& entry : result->losses.*kind.entries) {
      (report_.losses.*kind.entries).push_back(id + ": " + entry);
    }
  }
}

void ConversionOutput::write_record(const std::string& text) {
  if (input_.layout() == RecordLayout::kArray) {
    writer_.write(report_.converted == 0 ? "\n" : ",\n");
    writer_.write(text);
  } else {
    writer_.write(text + "\n");
  }
}

ConversionReport ConversionOutput::finish() {
  nlohmann::ordered_json json = {{"input", input_.path().string()}, {"output", path_.string()}};
  json.update(report_.to_json());
  if (report_.converted > 0) {
    if (input_.layout() == RecordLayout::kArray) writer_.write("\n]\n");
    writer_.commit();
  }
  core::write_file_atomic(report_path(path_), core::dump_json(json, 2) + "\n");
  say_what_was_lost();
  if (report_.converted == 0) {
    throw core::Error(ErrorKind::kData, "no sample could be converted", input_.path().string(),
                      fmt::format("see {}", report_path(path_).string()));
  }
  core::log_info("converted {} of {} samples, {} turns: {}", report_.converted, report_.samples,
                 report_.turns, path_.string());
  return std::move(report_);
}

void ConversionOutput::say_what_was_lost() const {
  for (size_t i = 0; i < std::min(kSkippedShown, report_.skipped.size()); ++i) {
    const auto& [id, reason] = report_.skipped[i];
    core::log_warning("skipped {}: {}", id, reason);
  }
  if (report_.skipped.size() > kSkippedShown) {
    core::log_warning("skipped {} more samples", report_.skipped.size() - kSkippedShown);
  }
  std::string counts;
  for (const LossKind& kind : kLossKinds) {
    const size_t count = (report_.losses.*kind.entries).size();
    if (count > 0) counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", kind.name, count);
  }
  if (!counts.empty()) core::log_warning("lost in the conversion: {}", counts);
  if (!counts.empty() || !report_.skipped.empty()) {
    core::log_warning("the full list is in {}", report_path(path_).string());
  }
}

void require_records(const RecordFile& input) {
  if (input.size() > 0) return;
  throw core::Error(ErrorKind::kData, "the file has no records", input.path().string(),
                    "give a file with samples");
}

std::string path_seen_from(const fs::path& output, const fs::path& path) {
  if (path.is_absolute() || core::is_url(path)) return path.string();
  std::error_code error;
  const auto leads_there = [&](const fs::path& candidate) {
    return fs::equivalent(output.parent_path() / candidate, path, error) && !error;
  };
  if (leads_there(path)) return path.string();
  const fs::path absolute = fs::absolute(path).lexically_normal();
  const fs::path folder = fs::absolute(output).lexically_normal().parent_path();
  const fs::path below = absolute.lexically_relative(folder);
  const bool is_below = !below.empty() && *below.begin() != "..";
  return (is_below && leads_there(below) ? below : absolute).string();
}

std::string to_line(const Conversation& conversation) {
  try {
    return to_stream_json(conversation).dump();
  } catch (const nlohmann::json::type_error&) {
    throw core::Error(ErrorKind::kUsage, "a path or the system prompt is not UTF-8 text",
                      conversation.video_path, "rename the file or folder, or change the prompt");
  }
}

}  // namespace streamo::data
