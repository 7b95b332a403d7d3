// Every sample that is not trained on, with the reason: counted, and listed in skipped.jsonl.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "core/io/append_log.h"

namespace streamo::data {

class SampleReport {
 public:
  // `file` empty: only counts. An existing file (a resumed run) is read: its samples are not listed
  // again, and count only if they are bad again, since the user may have mended them meanwhile.
  explicit SampleReport(std::filesystem::path file = {});

  // Once a sample; thread-safe. Appends {"id","reason"} to the file at once,
  // or when there is room for it.
  void add(const std::string& id, const std::string& reason);
  int64_t size() const;
  // Throws core::Error{kData} with an example when more than `max_bad_fraction` of `all` samples
  // are listed.
  void check_fraction(double max_bad_fraction, size_t all) const;
  std::map<std::string, std::string> entries() const;

 private:
  mutable std::mutex mutex_;
  core::AppendLog file_;
  bool is_torn_ = false;
  std::map<std::string, std::string> entries_;
  std::set<std::string> listed_;  // in the file
};

}  // namespace streamo::data
