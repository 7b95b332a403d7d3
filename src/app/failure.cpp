// Decides for each exception of a library whether the machine is to blame (memory, disk) or a bug.
#include "app/failure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "core/io/system_error.h"

namespace streamo::app {
namespace {

using core::Error;
using core::ErrorKind;

// As LibTorch, oneDNN, cuDNN and the C library put it.
constexpr std::array<std::string_view, 8> kOutOfMemory = {"out of memory",
                                                          "can't allocate memory",
                                                          "cannot allocate memory",
                                                          "not enough memory",
                                                          "could not create a memory",
                                                          "could not create a primitive",
                                                          "ALLOC_FAILED",
                                                          "std::bad_alloc"};

bool tells_of_memory(const std::string& text) {
  return std::any_of(kOutOfMemory.begin(), kOutOfMemory.end(), [&](std::string_view words) {
    const auto same = [](char a, char b) { return std::tolower(a) == std::tolower(b); };
    return std::search(text.begin(), text.end(), words.begin(), words.end(), same) != text.end();
  });
}

Error out_of_memory(const std::string& detail) {
  return {ErrorKind::kMemory, "out of memory" + detail, "this process",
          "use smaller batches (train.micro_batch_size, data.max_length) or fewer workers "
          "(data.num_workers), or raise the limit"};
}

Error of_the_system(const std::system_error& failed, const std::string& where) {
  return core::system_error(failed.code().value(), "the system refused", where);
}

// LibTorch's messages go on with a stack that says nothing to a user.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

Error as_error(const std::exception& thrown) {
  if (const auto* error = dynamic_cast<const Error*>(&thrown)) return *error;
  if (dynamic_cast<const std::bad_alloc*>(&thrown) != nullptr) return out_of_memory("");
  if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&thrown))
    return of_the_system(*file, file->path1().string());
  const bool has_errno = [&] {
    const auto* system = dynamic_cast<const std::system_error*>(&thrown);
    return system != nullptr && (system->code().category() == std::generic_category() ||
                                 system->code().category() == std::system_category());
  }();
  if (has_errno)
    return of_the_system(dynamic_cast<const std::system_error&>(thrown), "this process");
  const std::string text = thrown.what();
  if (tells_of_memory(text)) return out_of_memory(fmt::format(" ({})", first_line(text)));
  return {ErrorKind::kInternal, text, "", "this is a bug in streamo, please report it"};
}

}  // namespace streamo::app
