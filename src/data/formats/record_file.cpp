// One scan finds the byte range of each record; after that each is read by pread, so any number of
// threads share the file.
#include "data/formats/record_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/io/system_error.h"
#include "core/json/json.h"
#include "core/log.h"
#include "data/formats/record_scanner.h"

namespace streamo::data {
namespace {

using core::ErrorKind;
using core::Fault;
using nlohmann::json;

constexpr size_t kChunkBytes = 4 << 20;
constexpr size_t kPlaceChunkBytes = 64 << 10;
constexpr uint64_t kProgressBytes = 512u << 20;  // smaller files are done before anybody wonders

// Reads up to `length` bytes at `offset`; fewer only at the end of the file. -1 with errno on
// failure.
ssize_t read_at(int fd, char* to, size_t length, uint64_t offset) {
  size_t got = 0;
  while (got < length) {
    const ssize_t n = core::system_call("read.bytes", [&] {
      return ::pread(fd, to + got, length - got, static_cast<off_t>(offset + got));
    });
    if (n < 0) return -1;
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  return static_cast<ssize_t>(got);
}

core::Error unreadable(const std::filesystem::path& path) {
  return core::system_error(errno, "cannot read", path.string(), ErrorKind::kData);
}

int open_file(const std::filesystem::path& path, uint64_t& size) {
  struct stat status {};
  // Looked at before it is opened: opening a named pipe would wait for a writer.
  if (core::system_call("read.stat", [&] { return ::stat(path.c_str(), &status); }) != 0)
    throw unreadable(path);
  if (!S_ISREG(status.st_mode)) {
    throw core::Error(ErrorKind::kData, "not a regular file", path.string(),
                      "give a JSON or JSON Lines file");
  }
  const int fd =
      core::system_call("read.open", [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (fd < 0) throw unreadable(path);
  size = static_cast<uint64_t>(status.st_size);
  return fd;
}

// Bytes of a UTF-8 byte order mark. Other encodings are named, not guessed at.
uint64_t skip_byte_order_mark(std::string_view head, const std::string& name) {
  if (head.substr(0, 3) == "\xEF\xBB\xBF") return 3;
  if (head.substr(0, 2) == "\xFF\xFE" || head.substr(0, 2) == "\xFE\xFF") {
    throw core::Error(ErrorKind::kData, "the text is UTF-16", name, "save it as UTF-8");
  }
  return 0;
}

bool is_lines_name(const std::filesystem::path& path) {
  return path.extension() == ".jsonl" || path.extension() == ".ndjson";
}

}  // namespace

RecordFile::RecordFile(std::filesystem::path path) : path_(std::move(path)) {
  uint64_t size = 0;
  fd_ = open_file(path_, size);
  try {
    const std::unique_ptr<char[]> chunk(new char[kChunkBytes]);
    std::unique_ptr<core::ProgressBar> progress;
    if (size > kProgressBytes) {
      progress = std::make_unique<core::ProgressBar>(
          "indexing " + path_.filename().string() + " (MB)", static_cast<int64_t>(size >> 20));
    }
    std::unique_ptr<RecordScanner> scanner;
    for (uint64_t offset = 0;;) {
      const ssize_t got = read_at(fd_, chunk.get(), kChunkBytes, offset);
      if (got < 0) throw unreadable(path_);
      std::string_view bytes(chunk.get(), static_cast<size_t>(got));
      offset += bytes.size();
      if (!scanner) {
        const uint64_t first = skip_byte_order_mark(bytes, path_.string());
        bytes.remove_prefix(first);
        scanner = std::make_unique<RecordScanner>(path_.string(), first);
      }
      if (got == 0) break;
      scanner->feed(bytes);
      if (progress) progress->advance(static_cast<int64_t>(got >> 20));
    }
    scanner->finish();
    records_ = scanner->take_records();
    line_starts_ = scanner->take_line_starts();
    layout_ = scanner->is_array()                             ? RecordLayout::kArray
              : records_.size() == 1 && !is_lines_name(path_) ? RecordLayout::kSingleObject
                                                              : RecordLayout::kLines;
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

RecordFile::~RecordFile() {
  ::close(fd_);
}

std::string RecordFile::raw(size_t index) const {
  const RecordSpan span = records_.at(index);
  std::string bytes(span.length, '\0');
  const ssize_t got = read_at(fd_, bytes.data(), bytes.size(), span.offset);
  if (got < 0) throw unreadable(path_);
  if (got != static_cast<ssize_t>(span.length)) {
    throw core::Error(ErrorKind::kData, "the file has become shorter while it was in use",
                      path_.string(), "leave annotation files alone while they are being read");
  }
  return bytes;
}

core::Result<json> RecordFile::read(size_t index) const {
  const std::string bytes = raw(index);
  core::JsonBuilder<json> record;
  const auto complaint =
      core::scan_json(bytes, record, {.max_bytes = RecordScanner::kMaxRecordBytes});
  if (!complaint) return record.take();
  return Fault{fmt::format("{}: {}", place(index, complaint->byte),
                           complaint->what.empty() ? record.complaint() : complaint->what)};
}

// Lines are kept for some of the records only: the rest is counted when an error needs it.
std::string RecordFile::place(size_t index, uint64_t offset_in_record) const {
  const uint64_t target = records_.at(index).offset + offset_in_record;
  const size_t known = index / RecordScanner::kRecordsPerLineStart;
  LineStart line = line_starts_[known];
  // From the known record on: what is before it belongs to its line.
  uint64_t offset = records_[known * RecordScanner::kRecordsPerLineStart].offset;
  std::string chunk(kPlaceChunkBytes, '\0');
  while (offset < target) {
    const size_t wanted = std::min<uint64_t>(chunk.size(), target - offset);
    const ssize_t got = read_at(fd_, chunk.data(), wanted, offset);
    if (got <= 0) break;
    for (size_t i = 0; i < static_cast<size_t>(got); ++i) {
      if (chunk[i] == '\n') line = {line.number + 1, offset + i + 1};
    }
    offset += static_cast<uint64_t>(got);
  }
  return fmt::format("{}, record {}, line {}, column {}", path_.string(), index, line.number,
                     target - line.offset + 1);
}

}  // namespace streamo::data
