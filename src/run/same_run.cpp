// Gathers config, data and program hashes from all ranks, and names the first rank that differs.
#include "run/same_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "core/io/file.h"
#include "core/json/dump_json.h"
#include "run/run_folder.h"
#include "streamo/core/error.h"

namespace streamo::run {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

void require_same_run(parallel::Ranks& ranks, const Json& effective_config, const Json& data) {
  if (ranks.size() == 1) return;
  const Json own = {
      {"config", effective_config}, {"data", data}, {"program", core::hash_file("/proc/self/exe")}};
  const std::vector<std::string> all = ranks.gather(core::dump_json(own));
  const Json first = Json::parse(all[0]);
  for (size_t rank = 1; rank < all.size(); ++rank) {
    const Json other = Json::parse(all[rank]);
    if (other == first) continue;
    std::vector<std::string> what = differences(first["config"], other["config"]);
    if (other["data"] != first["data"]) what.push_back("the files of data.train");
    if (other["program"] != first["program"]) what.push_back("the program streamo");
    throw core::Error(
        core::ErrorKind::kConfig,
        fmt::format("was started for another run than rank 0: {}", fmt::join(what, "; ")),
        fmt::format("rank {}", rank), "start all ranks with the same program, config and data");
  }
}

}  // namespace streamo::run
