// A file that grows by whole records, as logs do. What it cannot take ends nothing: the records
// wait in memory until there is room again, and the user is told once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace streamo::core {

class AppendLog {
 public:
  static constexpr size_t kMostWaiting = 16 << 20;  // bytes; more are lost

  // The file is made by the first record.
  explicit AppendLog(std::filesystem::path path) : path_(std::move(path)) {}
  ~AppendLog();  // says what is lost
  AppendLog(const AppendLog&) = delete;
  AppendLog& operator=(const AppendLog&) = delete;

  // On disk when it returns (not synced), or waiting. The file holds whole records only.
  void append(std::string_view record);
  bool is_behind() const { return !waiting_.empty(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::string waiting_;
  bool told_ = false;
};

}  // namespace streamo::core
