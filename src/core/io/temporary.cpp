// Names temporaries, registers them, and removes those a dead process left behind.
#include "core/io/temporary.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/io/system_error.h"

namespace streamo::core {
namespace fs = std::filesystem;
namespace {

struct Register {
  std::mutex mutex;
  std::set<fs::path> paths;
};
Register& own() {
  static auto& all = *new Register;  // NOLINT: a thread may end the process while others still run
  return all;
}

// Of those processes whose numbers mean the same here.
std::string machine_mark() {
  std::array<char, 256> host = {};
  ::gethostname(host.data(), host.size() - 1);
  std::error_code none;
  const std::string text = host.data() + fs::read_symlink("/proc/self/ns/pid", none).string();
  return fmt::format("{:08x}", XXH3_64bits(text.data(), text.size()) & 0xFFFFFFFFU);
}

std::string temporary_name() {
  uint64_t chance = 0;
  if (::getrandom(&chance, sizeof chance, 0) != sizeof chance)
    throw system_error(errno, "cannot make a random name", "this process");
  return fmt::format(".streamo-tmp-{}-{}-{:016x}", machine_mark(), ::getpid(), chance);
}

// Whether the process that has made it is gone for all we can know.
bool is_left_behind(const fs::path& path) {
  static const std::regex pattern(R"(\.streamo-tmp-([0-9a-f]{8})-(\d{1,9})-[0-9a-f]{16})");
  static const std::string here = machine_mark();
  constexpr auto kLongAgo = std::chrono::hours(1);
  std::smatch parts;
  const std::string name = path.filename().string();
  if (!std::regex_match(name, parts, pattern)) return false;
  if (parts[1] == here) return ::kill(std::stoi(parts[2]), 0) != 0 && errno == ESRCH;
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) return false;
  return std::chrono::system_clock::from_time_t(status.st_mtime) <
         std::chrono::system_clock::now() - kLongAgo;
}

}  // namespace

Temporary::Temporary(const fs::path& folder) : path_(folder / temporary_name()) {
  const std::lock_guard lock(own().mutex);
  own().paths.insert(path_);
}

Temporary::~Temporary() {
  if (path_.empty()) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  release();
}

void Temporary::release() {
  const std::lock_guard lock(own().mutex);
  own().paths.erase(path_);
  path_.clear();
}

int create_exclusively(const Temporary& temporary, const fs::path& final_path) {
  const int fd = system_call("file.create", [&] {
    return ::open(temporary.path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  0644);
  });
  if (fd < 0) throw system_error(errno, "cannot create", final_path.string());
  return fd;
}

void remove_temporaries(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (is_left_behind(entry.path())) found.push_back(entry.path());
  }
  for (const fs::path& path : found) fs::remove_all(path, ignored);
}

void remove_own_temporaries() noexcept {
  // Never given back, so that no other thread makes a new one. Where one holds it and stands still,
  // they stay for the next start.
  constexpr int kTries = 100;
  for (int i = 0; !own().mutex.try_lock(); ++i) {
    if (i == kTries) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::error_code ignored;
  for (const fs::path& path : own().paths) fs::remove_all(path, ignored);
}

}  // namespace streamo::core
