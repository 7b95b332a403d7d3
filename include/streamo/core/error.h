// Errors a user can do something about: what went wrong, where, and what to do next.
//
// Three kinds of trouble, three ways (CONTRIBUTING.md):
//   user or environment: throw core::Error; main() prints it and exits with the kind's code;
//   expected data fault: return core::Result; the run counts and lists it and goes on;
//   our own bug:         STREAMO_CHECK; exit 70 with file and line.
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <variant>

namespace streamo::core {

// The value is the process's exit code.
enum class ErrorKind {
  kUsage = 2,
  kConfig = 10,
  kData = 11,
  kModel = 12,  // or tokenizer
  kCheckpoint = 13,
  kDisk = 14,
  kMemory = 15,
  kStopped = 20,  // by a signal, and saved: requeue me
  kPeer = 21,     // another process of the run ended
  kHang = 22,     // ... or stands still
  kNonFinite = 23,
  kInternal = 70,
};

class Error : public std::exception {
 public:
  // `what` says what is wrong, `where` names the file, key or sample, `hint` the next step.
  Error(ErrorKind kind, std::string what, std::string where = {}, std::string hint = {});

  // "<where>: <what>", and a second line "  hint: <hint>": as people see it behind "error: ".
  const char* what() const noexcept override { return message_.c_str(); }
  // Only "<where>: <what>", for a message that goes on.
  std::string summary() const { return message_.substr(0, summary_size_); }
  const std::string& hint() const { return hint_; }
  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
  std::string hint_;
  std::string message_;
  size_t summary_size_;
};

// Why one sample or file cannot be used. `reason` is a full sentence part that names the file.
struct Fault {
  std::string reason;
};

// A value, or the reason why there is none: for failures a run survives.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT: implicit by design, `return value;`
  Result(Fault fault) : state_(std::move(fault)) {}  // NOLINT: likewise
  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const std::string& reason() const { return std::get<1>(state_).reason; }
  const Fault& fault() const { return std::get<1>(state_); }

 private:
  std::variant<T, Fault> state_;
};

[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               const std::string& message);

}  // namespace streamo::core

// An invariant of ours. Never reachable by wrong user input.
#define STREAMO_CHECK(condition, message)                                                       \
  do {                                                                                          \
    if (!(condition)) ::streamo::core::check_failed(#condition, __FILE__, __LINE__, (message)); \
  } while (false)
