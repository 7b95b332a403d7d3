// Counts and lists the samples that are left out.
#include "data/samples/sample_report.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json/dump_json.h"
#include "core/json/json.h"
#include "streamo/core/error.h"

namespace streamo::data {

SampleReport::SampleReport(std::filesystem::path file) : file_(std::move(file)) {
  std::ifstream lines(file_.path());
  for (std::string line; std::getline(lines, line);) {
    is_torn_ = lines.eof();  // its last line has no end: a run was killed while it wrote
    const auto entry = core::parse_json(line);
    if (entry && entry->is_object() && entry->value("id", nlohmann::json()).is_string()) {
      listed_.insert((*entry)["id"].get<std::string>());
    }
  }
}

void SampleReport::add(const std::string& id, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (!entries_.emplace(id, reason).second || file_.path().empty()) return;
  if (!listed_.insert(id).second) return;
  const std::string line =
      core::dump_json(nlohmann::ordered_json{{"id", id}, {"reason", reason}}) + "\n";
  file_.append(std::exchange(is_torn_, false) ? "\n" + line : line);
}

int64_t SampleReport::size() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(entries_.size());
}

void SampleReport::check_fraction(double max_bad_fraction, size_t all) const {
  const std::lock_guard lock(mutex_);
  if (static_cast<double>(entries_.size()) <= max_bad_fraction * static_cast<double>(all)) return;
  throw core::Error(
      core::ErrorKind::kData,
      fmt::format("{} of {} samples cannot be used, more than data.max_bad_fraction = {}; for "
                  "example {}: {}",
                  entries_.size(), all, max_bad_fraction, entries_.begin()->first,
                  entries_.begin()->second),
      "data.train", "see skipped.jsonl in the run folder");
}

std::map<std::string, std::string> SampleReport::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

}  // namespace streamo::data
