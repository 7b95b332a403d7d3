// A JSON array or JSON Lines file read record by record, however large it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "streamo/core/error.h"

namespace streamo::data {

// The places of the records in the file, found in one pass without parsing them; a record is read
// when asked for. Holds 16 bytes a record. read() may be called from many threads.
class RecordFile {
 public:
  // Accepts: a JSON array, JSON Lines, or one single object (then single_object() is true); a BOM,
  // CRLF and blank lines. Throws core::Error{kData} naming file and line when the structure is
  // broken.
  explicit RecordFile(std::filesystem::path path);
  ~RecordFile();
  RecordFile(const RecordFile&) = delete;
  RecordFile& operator=(const RecordFile&) = delete;

  size_t size() const { return records_.size(); }
  bool single_object() const { return single_object_; }
  const std::filesystem::path& path() const { return path_; }
  // A Fault names file, record, line and the parser's reason.
  core::Result<nlohmann::json> read(size_t index) const;
  // The record's bytes as they stand in the file.
  std::string raw(size_t index) const;

 private:
  struct Span {
    uint64_t offset, length;
  };
  std::filesystem::path path_;
  int fd_ = -1;
  bool single_object_ = false;
  std::vector<Span> records_;
};

}  // namespace streamo::data
