// Batches in the plan's order whatever the threads do. The clips' pictures carry their numbers.
#include "data/loading/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/numbered_clip.h"
#include "text/tokenizer_fixture.h"

namespace streamo::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

constexpr size_t kGoodSamples = 7;

class Loaders : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::path(testing::TempDir()) / ("loader-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    json records = json::array();
    for (const std::string& clip : test::make_growing_clips(folder_, kGoodSamples))
      records.push_back(raw(clip));
    std::ofstream(folder_ / "good.json") << records;
    // Sound for the index, which looks at the packets, and gone when the pictures are wanted.
    fs::copy_file(folder_ / "0.mp4", folder_ / "later_gone.mp4");
    records.push_back(raw("later_gone.mp4"));
    std::ofstream(folder_ / "bad.json") << records;
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static json raw(const std::string& video) {
    return {{"video_path", video},
            {"question", json::array()},
            {"response", {{{"content", "The red ball."}, {"time", 2}}}}};
  }

  static const text::ChatFormat& chat() {
    static const text::ChatFormat format(text::small_tokenizer());
    return format;
  }

  // All that a loader stands on.
  struct Setup {
    SampleSource source;
    SampleReport report;
    Index index;
    Plan plan;

    explicit Setup(const std::string& annotations)
        : source({folder_ / annotations}, {}),
          index(build_index(source, chat(), {}, report)),
          plan(lengths(index),
               {.seed = 3, .micro_batch_size = 2, .grad_accum_steps = 2, .epochs = 3}) {}

    static std::vector<PlanItem> lengths(const Index& index) {
      std::vector<PlanItem> lengths;
      for (const Item& item : index.items) lengths.push_back({.tokens = item.tokens});
      return lengths;
    }
    std::unique_ptr<Loader> loader(const LoaderOptions& options, int64_t first_step = 0) {
      return std::make_unique<Loader>(source, chat(), index, plan, options, first_step);
    }
    std::vector<StepBatch> read(const LoaderOptions& options, int64_t first_step = 0) {
      const auto loader = this->loader(options, first_step);
      std::vector<StepBatch> steps;
      for (int64_t step = first_step; step < plan.total_steps(); ++step) {
        steps.push_back(loader->next());
      }
      return steps;
    }
  };

  static void expect_same(const MicroBatch& a, const MicroBatch& b) {
    EXPECT_EQ(a.ids, b.ids);
    EXPECT_EQ(a.input_ids, b.input_ids);
    EXPECT_EQ(a.cu_seqlens, b.cu_seqlens);
    EXPECT_EQ(a.frames_of_sample, b.frames_of_sample);
    EXPECT_EQ(a.rows, b.rows);
    EXPECT_EQ(a.targets, b.targets);
    EXPECT_EQ(a.states, b.states);
    EXPECT_EQ(a.sample_of_row, b.sample_of_row);
    ASSERT_EQ(a.frames.size(), b.frames.size());
    for (size_t i = 0; i < a.frames.size(); ++i) {
      EXPECT_EQ(a.frames[i].index, b.frames[i].index);
      EXPECT_TRUE(a.frames[i].rgb == b.frames[i].rgb) << "pixels of picture " << i;
    }
  }
  static void expect_same(const std::vector<StepBatch>& a, const std::vector<StepBatch>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      SCOPED_TRACE("step " + std::to_string(a[i].step));
      EXPECT_EQ(a[i].step, b[i].step);
      EXPECT_EQ(a[i].epoch, b[i].epoch);
      ASSERT_EQ(a[i].micro_batches.size(), b[i].micro_batches.size());
      for (size_t m = 0; m < a[i].micro_batches.size(); ++m) {
        expect_same(a[i].micro_batches[m], b[i].micro_batches[m]);
      }
    }
  }

  static fs::path folder_;
};
fs::path Loaders::folder_;

TEST_F(Loaders, GiveWhatThePlanSays) {
  Setup setup("good.json");
  const std::vector<StepBatch> steps = setup.read({});
  ASSERT_EQ(steps.size(), 6u);  // 3 epochs of 7 samples, 4 a step
  for (const StepBatch& step : steps) {
    const StepPlan plan = setup.plan.step(step.step);
    EXPECT_EQ(step.epoch, plan.epoch);
    ASSERT_EQ(step.micro_batches.size(), plan.micro_batches.size());
    for (size_t m = 0; m < plan.micro_batches.size(); ++m) {
      const MicroBatch& batch = step.micro_batches[m];
      std::vector<std::string> ids;
      std::vector<int> numbers, seconds;  // shown by the pictures; of the samples' seconds, twofold
      for (const size_t item : plan.micro_batches[m].items) {
        ids.push_back(setup.source.id(setup.index.items[item].sample));
        for (int second = 0; second < setup.index.items[item].frames; ++second) {
          seconds.push_back(2 * second);
        }
      }
      for (const video::Frame& frame : batch.frames) {
        numbers.push_back(test::read_number(frame.size, frame.rgb));
      }
      EXPECT_EQ(batch.ids, ids);
      EXPECT_EQ(numbers, seconds);
    }
  }
}

TEST_F(Loaders, GiveTheSameWithAnyNumberOfThreads) {
  Setup one("good.json"), four("good.json");
  expect_same(one.read({.num_workers = 1}), four.read({.num_workers = 4}));
}

TEST_F(Loaders, GiveTheSameWithHardlyAnyRoomForPictures) {
  Setup roomy("good.json"), narrow("good.json");
  expect_same(roomy.read({}), narrow.read({.num_workers = 3, .prefetch_bytes = 1}));
}

TEST_F(Loaders, BeginInTheMiddle) {
  Setup whole("good.json");
  const std::vector<StepBatch> all = whole.read({.num_workers = 2});
  for (const int64_t first : {1, 3, 5}) {
    Setup tail("good.json");
    expect_same({all.begin() + first, all.end()}, tail.read({.num_workers = 2}, first));
  }
}

TEST_F(Loaders, LeaveABadSampleOutOfItsBatch) {
  const fs::path gone = folder_ / "later_gone.mp4", aside = folder_ / "aside.mp4";
  Setup setup("bad.json");
  ASSERT_EQ(setup.index.items.size(), kGoodSamples + 1);
  fs::rename(gone, aside);
  const std::vector<StepBatch> steps = setup.read({.num_workers = 2});
  fs::rename(aside, gone);

  SampleReport report;

  for (const StepBatch& step : steps) {
    std::vector<std::string> ids, planned;
    for (const MicroBatch& batch : step.micro_batches) {
      ids.insert(ids.end(), batch.ids.begin(), batch.ids.end());
    }
    for (const BadSample& bad : step.bad) report.add(bad.id, bad.reason);
    for (const MicroBatchPlan& micro_batch : setup.plan.step(step.step).micro_batches) {
      for (const size_t item : micro_batch.items) {
        const size_t sample = setup.index.items[item].sample;
        if (sample != kGoodSamples) planned.push_back(setup.source.id(sample));
      }
    }
    EXPECT_EQ(ids, planned) << "step " << step.step;
  }
  ASSERT_EQ(report.size(), 1) << "once, though met in each of three epochs";
  EXPECT_THAT(report.entries().at("bad.json:7"), HasSubstr("later_gone.mp4"));
}

TEST_F(Loaders, MayBeLeftAtAnyTime) {
  for (const int64_t prefetch_bytes : {int64_t{1}, int64_t{1} << 30}) {
    Setup setup("good.json");
    setup.loader({.num_workers = 4, .prefetch_bytes = prefetch_bytes});  // at once
    const auto loader = setup.loader({.num_workers = 4, .prefetch_bytes = prefetch_bytes});
    loader->next();
    // Long enough for the workers to fill the queue and wait for room, or to have read all.
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

TEST_F(Loaders, PassOnWhatAWorkerThrows) {
  Setup setup("good.json");
  setup.index.items[3].num_rounds = 0;  // an index that is not of these samples: our own bug
  const auto loader = setup.loader({});
  const auto read_all = [&] {
    for (int64_t step = 0; step < setup.plan.total_steps(); ++step) loader->next();
  };
  EXPECT_ANY_THROW(read_all());
}

}  // namespace
}  // namespace streamo::data
