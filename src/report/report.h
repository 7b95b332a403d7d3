// report.html: a run on one page that can be mailed. No script, no request to anywhere.
#pragma once

#include <filesystem>

namespace streamo::report {

// Reads what is there of config.json, metrics.jsonl, skipped.jsonl and the newest eval-<step>.json
// in the run's folder and writes report.html beside them. What is missing leaves its section out.
// Throws core::Error{kData} when `run_dir` is no folder or holds none of these files; kUsage when
// another page of that name is there; kDisk.
void write_report(const std::filesystem::path& run_dir);

std::filesystem::path report_page(const std::filesystem::path& run_dir);

}  // namespace streamo::report
