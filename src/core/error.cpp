// The format of an error: place and problem on one line, the hint on the next.
#include "streamo/core/error.h"

#include <fmt/format.h>

namespace streamo::core {

Error::Error(ErrorKind kind, std::string what, std::string where, std::string hint)
    : kind_(kind),
      hint_(std::move(hint)),
      message_(where.empty() ? std::move(what) : where + ": " + what),
      summary_size_(message_.size()) {
  if (!hint_.empty()) message_ += "\n  hint: " + hint_;
}

void check_failed(const char* condition, const char* file, int line, const std::string& message) {
  throw Error(ErrorKind::kInternal,
              fmt::format("internal check failed: {} ({})", message, condition),
              fmt::format("{}:{}", file, line), "this is a bug in streamo, please report it");
}

}  // namespace streamo::core
