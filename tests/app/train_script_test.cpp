// train.sh without arguments, the example: which commands it gives, in which order and with what,
// what it prints of their result, and what it says of a run that was stopped. A stand-in takes the
// place of the program; that the commands do what they say is tested with them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/command_folder.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using test::CommandResult;
using testing::HasSubstr;

class ExampleOfTrainSh : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "scripts");
    fs::create_directories(folder_ / "build");
    fs::copy(fs::path(STREAMO_SOURCE_DIR) / "train.sh", folder_ / "train.sh");
    for (const char* script : {"scripts/setup.sh", "scripts/build.sh"})
      folder_.write(script, "echo \"$(basename $0) $*\" >> calls\n");
    folder_.write("build/streamo", R"(#!/bin/bash
echo "$*" >> calls
case "$1" in
  train)
    run=${3#checkpoint.dir=}
    echo '{"samples": 1, "macro_f1": 0.1}' > "$run/eval-99.json"
    echo '{"samples": 123, "macro_f1": 0.5, "response_timing": {"within_1s": 0.25}, "answer_exact_match": null}' \
      > "$run/eval-100.json"
    exit "${CODE:-0}" ;;
esac
)");
    fs::permissions(folder_ / "build/streamo", fs::perms::owner_all);
  }

  const test::CommandFolder folder_{"example-of-train-sh"};
};

TEST_F(ExampleOfTrainSh, MakesDataTrainsAndPrintsTheNewestEvaluation) {
  const CommandResult result = folder_.run("bash train.sh");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* line :
       {"Held-out: 123 samples", "macro-F1 of the three states       0.500",
        "responses within 1 s of the event  0.250", "answers exactly right              none",
        "runs/example-1/report.html", "runs/example-1/final"})
    EXPECT_THAT(result.out, HasSubstr(line));
  const std::string root = folder_.path().string(), data = root + "/build/example-data";
  EXPECT_EQ(folder_.read("calls"),
            "setup.sh \nbuild.sh release streamo\n"
            "synthesize --out " +
                data +
                "/train --clips 1800 --seed 5\n"
                "synthesize --out " +
                data +
                "/heldout --clips 60 --seed 2\n"
                "convert to-stream --input " +
                data + "/heldout/raw_data.json --output " + data +
                "/heldout/stream_format.json\n"
                "train " +
                root + "/configs/example.json checkpoint.dir=" + root + "/runs/example-1\n");
  EXPECT_EQ(folder_.run("bash train.sh").exit_code, 0);
  EXPECT_TRUE(fs::exists(folder_ / "runs/example-2/eval-100.json")) << "a run of its own each";
}

TEST_F(ExampleOfTrainSh, AStopSaysHowToGoOnAndAFailureKeepsItsCode) {
  const CommandResult stopped = folder_.run("CODE=20 bash train.sh");
  EXPECT_EQ(stopped.exit_code, 20);
  EXPECT_THAT(stopped.err, HasSubstr("bash train.sh configs/example.json checkpoint.dir="));
  const CommandResult failed = folder_.run("CODE=23 bash train.sh");
  EXPECT_EQ(failed.exit_code, 23);
  EXPECT_EQ(failed.out.find("Held-out"), std::string::npos);
}

}  // namespace
}  // namespace streamo
