// A long run takes no more memory and no more open files than a short one. CPU, fp32.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>

#include "support/small_run.h"

namespace streamo {
namespace {

using nlohmann::json;

std::map<int64_t, int64_t> peak_memory_by_step(const test::SmallRun& run) {
  std::map<int64_t, int64_t> peaks;
  for (const json& entry : run.read_json_lines("run/metrics.jsonl")) {
    if (entry.contains("peak_memory_bytes"))
      peaks[entry.at("step").get<int64_t>()] = entry.at("peak_memory_bytes").get<int64_t>();
  }
  return peaks;
}

TEST(TrainingSoak, MemoryAndOpenFilesDoNotGrow) {
  constexpr int kSteps = 200;
  const test::SmallRun small("soak", kSteps);
  // 10 saves and 4 evaluations, with room for some descriptors that are left open, not for one
  // each.
  const test::CommandResult result = small.train(
      "checkpoint.every_steps=20 data.eval=raw.json eval.every_steps=50 eval.max_samples=2",
      "ulimit -n 24;");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto peaks = peak_memory_by_step(small);
  ASSERT_TRUE(peaks.contains(kSteps / 2) && peaks.contains(kSteps));
  // 40 kB that every step keeps would be 4 MB.
  constexpr int64_t kNoise = 4 << 20;
  EXPECT_LE(peaks.at(kSteps) - peaks.at(kSteps / 2), kNoise);
}

}  // namespace
}  // namespace streamo
