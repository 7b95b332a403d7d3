// What ranks do together, and what the others say when one of them ends or stands still.
#include "parallel/ranks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>
#include <thread>

#include "parallel/topology.h"
#include "streamo/core/error.h"
#include "support/run_command.h"
#include "support/with_ranks.h"

namespace streamo::parallel {
namespace {

using testing::HasSubstr;
using torch::Tensor;

void with_ranks(int size, const std::function<void(Ranks&)>& work) {
  test::with_ranks(size, [&](const std::shared_ptr<Ranks>& ranks) { work(*ranks); });
}

TEST(Ranks, AloneNothingIsExchanged) {
  Ranks ranks;
  EXPECT_EQ(ranks.size(), 1);
  EXPECT_EQ(ranks.sum(3), 3);
  EXPECT_EQ(ranks.gather("own"), std::vector<std::string>{"own"});
  const Tensor row = torch::rand({7});
  EXPECT_TRUE(ranks.all_gather(row).equal(row.unsqueeze(0)));
  EXPECT_TRUE(ranks.reduce_scatter(row.unsqueeze(0)).equal(row));
}

TEST(Ranks, GatherAndSum) {
  for (const int size : {2, 3, 4}) {
    with_ranks(size, [size](Ranks& ranks) {
      const std::string own(static_cast<size_t>(ranks.rank()) * 3, 'x');
      const auto all = ranks.gather(own);
      ASSERT_EQ(all.size(), static_cast<size_t>(size));
      for (int rank = 0; rank < size; ++rank) {
        EXPECT_EQ(all[static_cast<size_t>(rank)].size(), static_cast<size_t>(rank) * 3);
      }
      EXPECT_EQ(ranks.sum(std::vector<double>{1.0, static_cast<double>(ranks.rank())}),
                (std::vector<double>{static_cast<double>(size), size * (size - 1) / 2.0}));
      EXPECT_THAT(ranks.describe_rank(1), HasSubstr("rank 1 on "));
    });
  }
}

// The tree stands in the header: sums of fp32 numbers depend on it.
TEST(Ranks, SumsAreMadeInTheTreeThatIsPromised) {
  const Tensor values = torch::rand({4, 4, 1000}) * 1e3;  // [rank, row, number]
  with_ranks(4, [&](Ranks& ranks) {
    const int64_t rank = ranks.rank();
    const Tensor expected =
        (values[0][rank] + values[1][rank]) + (values[2][rank] + values[3][rank]);
    EXPECT_TRUE(ranks.reduce_scatter(values[rank]).equal(expected));
    EXPECT_TRUE(ranks.all_gather(values[rank][0]).equal(values.select(1, 0)));
  });
  with_ranks(3, [&](Ranks& ranks) {
    const int64_t rank = ranks.rank();
    const Tensor expected = (values[0][rank] + values[1][rank]) + values[2][rank];
    EXPECT_TRUE(ranks.reduce_scatter(values[rank].slice(0, 0, 3)).equal(expected));
  });
}

TEST(Ranks, AreSplitIntoGroups) {
  const Tensor values = torch::rand({4, 1001});
  test::with_ranks(4, [&](const std::shared_ptr<Ranks>& ranks) {
    const int64_t rank = ranks->rank();
    EXPECT_TRUE(
        ranks->all_reduce(values[rank]).equal((values[0] + values[1]) + (values[2] + values[3])));
    const ShardGroups groups = ShardGroups::split(ranks, 2);
    EXPECT_EQ(groups.inside->size(), 2);
    EXPECT_EQ(groups.across->size(), 2);
    EXPECT_EQ(groups.inside->rank(), rank % 2);
    EXPECT_EQ(groups.across->rank(), rank / 2);
    const Tensor in_group = values[rank / 2 * 2] + values[rank / 2 * 2 + 1];
    EXPECT_TRUE(groups.inside->all_reduce(values[rank]).equal(in_group));
    EXPECT_TRUE(
        groups.across->all_reduce(values[rank]).equal(values[rank % 2] + values[rank % 2 + 2]));
    const ShardGroups one = ShardGroups::split(ranks, 0), each = ShardGroups::split(ranks, 1);
    EXPECT_EQ(one.inside, ranks);
    EXPECT_EQ(one.across->size(), 1);
    EXPECT_EQ(each.inside->size(), 1);
    EXPECT_EQ(each.across->size(), 4);
    ranks->barrier();
  });
}

TEST(Ranks, TheirTopologyIsTold) {
  with_ranks(2, [](Ranks& ranks) {
    const std::string lines = topology(ranks, at::kCPU);
    EXPECT_THAT(lines, testing::StartsWith("2 ranks on 1 machine, Gloo; the first sum, of 4 MB: "));
    EXPECT_THAT(lines, HasSubstr("GB/s"));
    EXPECT_THAT(lines, HasSubstr("\n  rank 0 on " + ranks.rank_host(0) + ", process "));
    EXPECT_THAT(lines, testing::EndsWith(", cpu"));
  });
}

// Else one would wait in NCCL and the other in Gloo.
TEST(Ranks, AllHaveAGpuOrNoneHas) {
  with_ranks(2, [](Ranks& ranks) {
    try {
      ranks.exchange_on(ranks.first() ? at::Device(at::kCPU) : at::Device(at::kCUDA, 0));
      ADD_FAILURE() << "no error";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kUsage);
      EXPECT_THAT(error.what(), HasSubstr("rank 0 has no GPU, rank 1 has a GPU"));
    }
    ranks.exchange_on(at::kCPU);  // nothing was begun
    EXPECT_EQ(ranks.sum(1.0), 2.0);
  });
}

TEST(Ranks, AStopAskedOfOneIsSeenByAll) {
  with_ranks(3, [](Ranks& ranks) {
    EXPECT_FALSE(ranks.stop_requested());
    ranks.barrier();
    if (ranks.rank() == 1) ranks.request_stop();
    for (int tenths = 0; tenths < 30 && !ranks.stop_requested(); ++tenths)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_TRUE(ranks.stop_requested());
    EXPECT_EQ(ranks.local_size(), 3);
    EXPECT_EQ(ranks.local_rank(), ranks.rank());
    ranks.barrier();
  });
}

struct Ending {
  const char* action;
  int culprit, culprit_exit, others_exit;
  const char* said;  // by each of the others
};

class RankEnds : public testing::TestWithParam<Ending> {};

// Three processes; each of the other two names the culprit, within 10 s.
TEST_P(RankEnds, TheOthersEndAndNameIt) {
  const Ending& ending = GetParam();
  const int port = test::free_port();
  std::vector<test::CommandResult> results(3);
  std::vector<double> seconds(3);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 3; ++rank) {
    threads.emplace_back([&, rank] {
      const auto begin = std::chrono::steady_clock::now();
      results[static_cast<size_t>(rank)] = test::run_in(
          testing::TempDir(),
          "env RANK=" + std::to_string(rank) + " WORLD_SIZE=3 LOCAL_RANK=" + std::to_string(rank) +
              " LOCAL_WORLD_SIZE=3 MASTER_ADDR=127.0.0.1 MASTER_PORT=" + std::to_string(port) +
              " timeout 30 " + test::shell_quote(STREAMO_RANK_PROGRAM) + " '" + ending.action +
              "' " + std::to_string(ending.culprit));
      seconds[static_cast<size_t>(rank)] =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int rank = 0; rank < 3; ++rank) {
    const auto& result = results[static_cast<size_t>(rank)];
    if (rank == ending.culprit) continue;
    EXPECT_EQ(result.exit_code, ending.others_exit) << "rank " << rank << ": " << result.err;
    EXPECT_THAT(result.err, HasSubstr("rank " + std::to_string(ending.culprit) + " on "));
    EXPECT_THAT(result.err, HasSubstr(ending.said));
    EXPECT_LT(seconds[static_cast<size_t>(rank)], 15);  // start included
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, RankEnds,
    testing::Values(Ending{"kill", 1, 137, 21, "ended without a word, last seen at "},
                    Ending{"kill", 0, 137, 21, "ended"},
                    Ending{"segfault", 1, 139, 21, "ended without a word, last seen at "},
                    Ending{"abort", 2, 134, 21, "ended without a word, last seen at "},
                    Ending{"exit", 2, 0, 21, "ended without a word, last seen at "},
                    Ending{"throw", 2, 11, 21, "ended: a.mp4: its data are bad"},
                    Ending{"throw", 0, 11, 21, "ended: a.mp4: its data are bad"},
                    Ending{"sleep", 1, 0, 22, "is still at sum 2"},
                    Ending{"spin", 2, 21, 22, "is still at sum 2"},
                    Ending{"stop", 1, 137, 22, "(nothing heard of it for "},
                    Ending{"kill while others compute", 1, 137, 21, "so this rank ends too"}));

TEST(RankProgram, EndsWellWhenNobodyMisbehaves) {
  const int port = test::free_port();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([=] {
      const auto result = test::run_in(
          testing::TempDir(), "env RANK=" + std::to_string(rank) +
                                  " WORLD_SIZE=2 LOCAL_RANK=" + std::to_string(rank) +
                                  " MASTER_ADDR=127.0.0.1 MASTER_PORT=" + std::to_string(port) +
                                  " " + test::shell_quote(STREAMO_RANK_PROGRAM) + " none 0");
      EXPECT_EQ(result.exit_code, 0) << result.err;
      EXPECT_EQ(result.err, "");
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Ranks, APartnerThatNeverComesIsAnError) {
  Launch launch{.rank = 1, .world_size = 2, .local_rank = 1};
  launch.master_address = "127.0.0.1";
  launch.master_port = test::free_port();
  launch.launcher = "torchrun";
  try {
    Ranks ranks(launch, std::chrono::seconds(1));
    FAIL() << "nobody is there";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kPeer);
    EXPECT_THAT(error.what(), HasSubstr("did not come together"));
    EXPECT_THAT(error.what(), testing::Not(HasSubstr("frame #")));
    EXPECT_THAT(error.what(), HasSubstr("127.0.0.1:" + std::to_string(launch.master_port)));
  }
}

}  // namespace
}  // namespace streamo::parallel
