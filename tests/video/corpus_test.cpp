// Every kind of file: which picture is taken, and that decoding by a plan shows the same.
//
// Truth: the number burnt into each picture, and the definition of docs/data.md worked out in
// integers from the times the pictures were made for (or, where a cut moves them, from those that
// ffprobe decodes). The plan's truth is sequential decoding, that of a process the thread: bit for
// bit.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>

#include "streamo/video/sampler.h"
#include "support/numbered_clip.h"
#include "support/sample_both_ways.h"
#include "video/corpus_kinds.h"
#include "video/worker/decode_in_processes.h"

namespace streamo::video {
namespace {
namespace fs = std::filesystem;

class CorpusTest : public testing::TestWithParam<Kind> {
 protected:
  CorpusTest() {
    folder_ = fs::path(testing::TempDir()) /
              fmt::format("streamo-corpus-{}-{}", GetParam().name, ::getpid());
    fs::create_directories(folder_);
  }
  ~CorpusTest() override { fs::remove_all(folder_); }

  fs::path folder_;
};

std::vector<int> numbers(const std::vector<Frame>& frames) {
  std::vector<int> numbers;
  for (const Frame& frame : frames) numbers.push_back(test::read_number(frame.size, frame.rgb));
  return numbers;
}

TEST_P(CorpusTest, TakesThePicturesOfTheDefinitionBothWays) {
  const Kind& kind = GetParam();
  Clip clip{test::make_clip(folder_ / kind.file, {.frames = kind.frames,
                                                  .rate = fmt::format("{}/{}", kind.num, kind.den),
                                                  .size = kind.size,
                                                  .encode = kind.encode}),
            std::nullopt};
  if (kind.finish) clip = kind.finish(kind, clip.path);
  const Truth truth = clip.truth ? *clip.truth : constant_rate(kind.frames, kind.num, kind.den);

  for (const bool half : {false, true}) {
    SCOPED_TRACE(half ? "2 a second, phase 0.5" : "1 a second");
    const int64_t fps = half ? 2 : 1;
    const SampleOptions options{.fps = static_cast<double>(fps), .phase = half ? 0.5 : 0.0};
    const std::vector<int> right = expected(truth, fps, half);
    const test::Sampled all = test::sample(clip.path, options, Decoding::kSequential);
    EXPECT_EQ(numbers(all.frames), right);
    const test::Sampled planned = test::sample(clip.path, options, Decoding::kPlanned);
    test::expect_same(planned.frames, all.frames);
    EXPECT_FALSE(planned.counters.plan_given_up);
    if (!half) {
      decode_in_processes(STREAMO_DECODER);
      const test::Sampled elsewhere = test::sample(clip.path, options, Decoding::kPlanned);
      decode_in_processes({});
      test::expect_same(elsewhere.frames, planned.frames);
      EXPECT_EQ(elsewhere.counters.packets, planned.counters.packets);
    }
    if (kind.way == Way::kSequential) {
      EXPECT_EQ(planned.counters.packets, all.counters.packets);
    }
    std::vector<int> different = right;
    different.erase(std::unique(different.begin(), different.end()), different.end());
    EXPECT_EQ(planned.counters.conversions, static_cast<int64_t>(different.size()));
    RecordProperty(half ? "decoded_half" : "decoded", static_cast<int>(planned.counters.packets));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, CorpusTest, testing::ValuesIn(kinds()),
                         [](const testing::TestParamInfo<Kind>& info) { return info.param.name; });

}  // namespace
}  // namespace streamo::video
