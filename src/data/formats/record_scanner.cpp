// A state machine over brackets, quotes and newlines. Bytes that mean nothing to it are skipped by
// table lookup, at memory speed.
#include "data/formats/record_scanner.h"

#include <fmt/format.h>

#include "streamo/core/error.h"

namespace streamo::data {
namespace {

constexpr char kHintArray[] = "write [ {...}, {...} ], or one {...} a line";
constexpr char kHintCut[] = "the file seems to be cut off, or a bracket or quote is missing";

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

// Bytes that mean something inside a string, and inside a record but outside strings. Everything
// else, which is nearly everything, is passed over in a tight loop.
constexpr std::array<bool, 256> byte_table(std::string_view bytes) {
  std::array<bool, 256> table{};
  for (const char c : bytes) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr auto kStringBytes = byte_table("\"\\\n");
constexpr auto kStructureBytes = byte_table("\"{}[]\n");

std::string printable(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x7F ? fmt::format("'{}'", c) : fmt::format("byte 0x{:02x}", byte);
}

}  // namespace

RecordScanner::RecordScanner(std::string file_name, uint64_t first_offset)
    : file_name_(std::move(file_name)), offset_(first_offset), line_start_(first_offset) {}

void RecordScanner::feed(std::string_view bytes) {
  const char* next = bytes.data();
  const char* const end = next + bytes.size();
  while (next != end) {
    if (depth_ > 0 && !after_backslash_) {
      const auto& table = in_string_ ? kStringBytes : kStructureBytes;
      const char* const from = next;
      while (next != end && !table[static_cast<unsigned char>(*next)]) ++next;
      offset_ += static_cast<uint64_t>(next - from);
      if (next == end) break;
    }
    if (depth_ > 0) {
      inside_record(*next);
    } else {
      outside_record(*next);
    }
    ++next;
    ++offset_;
  }
  if (depth_ > 0) check_length();
}

void RecordScanner::finish() {
  if (depth_ > 0) {
    fail(fmt::format("the record that begins in line {} is not closed", record_line_), kHintCut);
  }
  if (expect_ == Expect::kFirst) fail("the file is empty", kHintArray);
  if (is_array_ && expect_ != Expect::kNothing) fail("the array is not closed", kHintCut);
}

void RecordScanner::inside_record(char c) {
  if (after_backslash_) {
    after_backslash_ = false;
    if (c == '\n') fail("the line ends inside a string", "close the quote, or write \\n");
    return;
  }
  if (in_string_) {
    if (c == '\n') fail("the line ends inside a string", "close the quote, or write \\n");
    after_backslash_ = c == '\\';
    in_string_ = c != '"';
    return;
  }
  switch (c) {
    case '"':
      in_string_ = true;
      break;
    case '{':
      open_bracket('}');
      break;
    case '[':
      open_bracket(']');
      break;
    case '\n':
      end_line();
      break;
    default:
      close_bracket(c);
  }
}

void RecordScanner::outside_record(char c) {
  if (c == '\n') return end_line();
  if (is_blank(c)) return;
  const bool record_allowed = expect_ != Expect::kCommaOrEnd && expect_ != Expect::kNothing;
  if (c == '{' && record_allowed) return begin_record();
  if (c == '[' && expect_ == Expect::kFirst) {
    is_array_ = true;
    expect_ = Expect::kRecordOrEnd;
  } else if (c == ',' && expect_ == Expect::kCommaOrEnd) {
    expect_ = Expect::kRecord;
  } else if (c == ']' && (expect_ == Expect::kRecordOrEnd || expect_ == Expect::kCommaOrEnd)) {
    expect_ = Expect::kNothing;
  } else if (expect_ == Expect::kNothing) {
    fail(printable(c) + " after the end of the array", "remove what follows the ]");
  } else if (expect_ == Expect::kCommaOrEnd) {
    fail(printable(c) + " where a comma or ] belongs", "separate the records by commas");
  } else if (c == ']') {
    fail("a comma before the closing ]", "remove the comma");
  } else {
    fail(printable(c) + " where a record { belongs", kHintArray);
  }
}

void RecordScanner::begin_record() {
  if (expect_ == Expect::kNextLine) {
    if (last_record_end_line_ == line_) fail("two records on one line", kHintArray);
    if (record_line_ != last_record_end_line_) {
      fail("a second record after one of several lines", kHintArray);
    }
    one_line_each_ = true;
  }
  record_start_ = offset_;
  record_line_ = line_;
  if (records_.size() % kRecordsPerLineStart == 0) line_starts_.push_back({line_, line_start_});
  open_bracket('}');
}

void RecordScanner::end_record() {
  ++offset_;  // the bracket belongs to the record
  check_length();
  --offset_;
  records_.push_back({record_start_, offset_ + 1 - record_start_});
  last_record_end_line_ = line_;
  expect_ = is_array_ ? Expect::kCommaOrEnd : Expect::kNextLine;
}

void RecordScanner::open_bracket(char closing) {
  if (depth_ == kMaxDepth) {
    fail(fmt::format("nested deeper than {} levels", kMaxDepth), "this is no annotation file");
  }
  closing_[depth_++] = closing;
}

void RecordScanner::close_bracket(char c) {
  const char expected = closing_[depth_ - 1];
  if (c != expected) {
    fail(fmt::format("'{}' where '{}' belongs, in the record that begins in line {}", c, expected,
                     record_line_),
         "close each bracket by its own kind");
  }
  if (--depth_ == 0) end_record();
}

void RecordScanner::end_line() {
  if (depth_ > 0 && one_line_each_) {
    fail("the line ends inside a record", "close its brackets: a record is one line here");
  }
  ++line_;
  line_start_ = offset_ + 1;
}

void RecordScanner::check_length() const {
  if (offset_ - record_start_ > kMaxRecordBytes) {
    fail(fmt::format("the record that begins in line {} is longer than {} MB", record_line_,
                     kMaxRecordBytes >> 20),
         "split it");
  }
}

void RecordScanner::fail(const std::string& what, const std::string& hint) const {
  throw core::Error(
      core::ErrorKind::kData, what,
      fmt::format("{}, line {}, column {}", file_name_, line_, offset_ - line_start_ + 1), hint);
}

}  // namespace streamo::data
