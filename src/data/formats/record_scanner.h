// Finds where the records of a JSON file begin and end, byte by byte, without building any value.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/json.h"
#include "data/formats/record_file.h"

namespace streamo::data {

// Feed it the file in pieces of any size, then call finish(). Throws core::Error{kData} at the
// first byte that cannot be right.
class RecordScanner {
 public:
  // `first_offset`: where the text begins (after a byte order mark).
  RecordScanner(std::string file_name, uint64_t first_offset);

  void feed(std::string_view bytes);
  void finish();

  bool is_array() const { return is_array_; }
  std::vector<RecordSpan> take_records() { return std::move(records_); }
  // The line of every record whose number is a multiple of this.
  static constexpr size_t kRecordsPerLineStart = 16;
  static constexpr uint64_t kMaxRecordBytes = 64u << 20;
  std::vector<LineStart> take_line_starts() { return std::move(line_starts_); }

 private:
  static constexpr size_t kMaxDepth = core::kMaxJsonDepth;
  // What may come next outside of records.
  enum class Expect { kFirst, kRecordOrEnd, kRecord, kCommaOrEnd, kNothing, kNextLine };

  void outside_record(char c);
  void inside_record(char c);
  void begin_record();
  void end_record();
  void open_bracket(char closing);
  void close_bracket(char c);
  void end_line();
  void check_length() const;
  [[noreturn]] void fail(const std::string& what, const std::string& hint) const;

  std::string file_name_;
  uint64_t offset_;  // of the byte being looked at
  uint64_t line_ = 1;
  uint64_t line_start_;  // offset of the first byte of the line
  Expect expect_ = Expect::kFirst;
  bool is_array_ = false;
  bool in_string_ = false, after_backslash_ = false;
  bool one_line_each_ = false;  // JSON Lines for sure: a record must not go over its line
  std::array<char, kMaxDepth> closing_{};  // the brackets to come, innermost last
  size_t depth_ = 0;                       // 0: outside of records
  uint64_t record_start_ = 0, record_line_ = 0, last_record_end_line_ = 0;
  std::vector<RecordSpan> records_;
  std::vector<LineStart> line_starts_;
};

}  // namespace streamo::data
