// Ranks that were started together compare what they mean to run. Truth: all are told the same.
#include "run/same_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "config/run_config.h"
#include "streamo/core/error.h"
#include "support/with_ranks.h"

namespace streamo::run {
namespace {

using Json = nlohmann::ordered_json;
using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

constexpr int kRanks = 3;

Json config_with(double lr) {
  config::RunConfig config;
  config.optim.lr = lr;
  return config::make_schema(config).values();
}

// What each rank is told when the last one has `other` instead; "" of those that are content.
std::vector<std::string> told(const Json& config, const std::string& data, const Json& other_config,
                              const std::string& other_data) {
  std::vector<std::string> all;
  std::mutex mutex;
  test::with_ranks(kRanks, [&](const std::shared_ptr<parallel::Ranks>& ranks) {
    const bool last = ranks->rank() == kRanks - 1;
    std::string said;
    try {
      require_same_run(*ranks, last ? other_config : config, last ? other_data : data);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kConfig);
      said = error.what();
    }
    const std::lock_guard lock(mutex);
    all.push_back(said);
  });
  return all;
}

TEST(SameRun, RanksThatMeanTheSameAreContent) {
  EXPECT_THAT(told(config_with(1), "a", config_with(1), "a"), Each(""));
}

TEST(SameRun, AllAreToldWhichRankDiffersInWhat) {
  const auto settings = told(config_with(1), "a", config_with(2), "a");
  EXPECT_EQ(settings.size(), size_t{kRanks});
  EXPECT_THAT(settings, Each(AllOf(HasSubstr("rank 2"), HasSubstr("optim.lr: 1.0 -> 2.0"))));
  EXPECT_THAT(told(config_with(1), "a", config_with(1), "b"),
              Each(AllOf(HasSubstr("rank 2"), HasSubstr("the files of data.train"))));
}

}  // namespace
}  // namespace streamo::run
