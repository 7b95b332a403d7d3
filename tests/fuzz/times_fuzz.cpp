// The times of annotations: a turn, absent, or a Fault.
#include <nlohmann/json.hpp>

#include "data/formats/annotation.h"
#include "fuzz/fuzz.h"

namespace streamo {

FUZZ_TARGET(times, 8000) {
  for (const nlohmann::json& value :
       {nlohmann::json(std::string(input)), nlohmann::json::parse(input, nullptr, false)}) {
    const auto time = data::parse_time(value);
    if (!time) {
      fuzz::require(!time.reason().empty());
    } else if (*time) {
      for (const double fps : {1.0, 0.1, 60.0}) fuzz::require(data::turn_index(**time, fps) >= 0);
    }
  }
}

}  // namespace streamo
