#include "streamo/core/error.h"

#include <fmt/format.h>

namespace streamo::core {

Error::Error(ErrorKind kind, std::string what, std::string where, std::string hint)
    : kind_(kind), message_(std::move(what)) {
  for (const std::string& part : {where, hint}) {
    if (!part.empty()) message_ += ", " + part;
  }
}

void check_failed(const char* condition, const char* file, int line, const std::string& message) {
  throw Error(ErrorKind::kInternal,
              fmt::format("internal check failed: {} ({})", message, condition),
              fmt::format("{}:{}", file, line), "this is a bug in streamo, please report it");
}

}  // namespace streamo::core
