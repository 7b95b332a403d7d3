// A JSON array or JSON Lines file read record by record, however large it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "streamo/core/error.h"

namespace streamo::data {

enum class RecordLayout { kArray, kLines, kSingleObject };

// A record's bytes in the file.
struct RecordSpan {
  uint64_t offset, length;
};

// Where a line begins; `number` counts from 1.
struct LineStart {
  uint64_t number, offset;
};

// The places of the records in the file, found in one pass without parsing them; a record is read
// when asked for. Holds 17 bytes a record. read() may be called from many threads.
class RecordFile {
 public:
  // Accepts: a JSON array of objects, JSON Lines, or one single object (not in a .jsonl file; then
  // single_object() is true); a BOM, CRLF and blank lines. Throws core::Error{kData} naming file,
  // line and column when the structure is broken: brackets, commas, strings that do not end,
  // nesting beyond 128, a record beyond 64 MB. What is inside a record is checked by read().
  explicit RecordFile(std::filesystem::path path);
  ~RecordFile();
  RecordFile(const RecordFile&) = delete;
  RecordFile& operator=(const RecordFile&) = delete;

  size_t size() const { return records_.size(); }
  RecordLayout layout() const { return layout_; }
  bool single_object() const { return layout_ == RecordLayout::kSingleObject; }
  const std::filesystem::path& path() const { return path_; }
  const std::vector<RecordSpan>& spans() const { return records_; }
  // "FILE, record 3, line 17, column 5" of a byte of the record: where to look with an editor.
  std::string place(size_t index, uint64_t offset_in_record = 0) const;
  // A Fault names file, line, column, record and the parser's reason; a key given twice is one too.
  core::Result<nlohmann::json> read(size_t index) const;
  // The record's bytes as they stand in the file.
  std::string raw(size_t index) const;

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  RecordLayout layout_ = RecordLayout::kArray;
  std::vector<RecordSpan> records_;
  std::vector<LineStart> line_starts_;  // of the lines where some of the records begin
};

}  // namespace streamo::data
