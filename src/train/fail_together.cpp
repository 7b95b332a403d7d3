// Tells all ranks of the failure of one.
#include "train/fail_together.h"

#include <exception>
#include <new>
#include <nlohmann/json.hpp>
#include <string>

#include "core/json/dump_json.h"
#include "streamo/core/error.h"

namespace streamo::train {
namespace {

using Json = nlohmann::json;

std::string describe_failure(const std::exception_ptr& failure) {
  if (!failure) return "";
  const auto describe = [](core::ErrorKind kind, const char* what) {
    return core::dump_json(Json{{"kind", static_cast<int>(kind)}, {"what", what}});
  };
  try {
    std::rethrow_exception(failure);
  } catch (const core::Error& error) {
    return describe(error.kind(), error.what());
  } catch (const std::exception& error) {
    return describe(core::ErrorKind::kInternal, error.what());
  }
}

}  // namespace

void fail_together(parallel::Ranks& ranks, const std::function<void()>& work) {
  std::exception_ptr failure;
  try {
    work();
  } catch (const std::bad_alloc&) {
    failure = std::make_exception_ptr(core::Error(core::ErrorKind::kMemory, "out of memory",
                                                  "this process", "use smaller batches"));
  } catch (...) {
    failure = std::current_exception();
  }
  const std::vector<std::string> of_ranks = ranks.gather(describe_failure(failure));
  if (failure) std::rethrow_exception(failure);
  for (size_t rank = 0; rank < of_ranks.size(); ++rank) {
    if (of_ranks[rank].empty()) continue;
    const Json other = Json::parse(of_ranks[rank]);
    throw core::Error(static_cast<core::ErrorKind>(other.at("kind").get<int>()),
                      other.at("what").get<std::string>(),
                      ranks.describe_rank(static_cast<int>(rank)));
  }
}

}  // namespace streamo::train
