#include <gmock/gmock.h>

#include "eval/bench/published.h"
#include "eval/benchmark.h"
#include "streamo/core/error.h"

namespace streamo::eval {
namespace {

using testing::HasSubstr;

class LoadBenchmark : public BenchFolder {
 protected:
  std::string refusal(const std::filesystem::path& path, const LoadOptions& options = {}) {
    try {
      (void)load_benchmark(path, options);
    } catch (const core::Error& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(LoadBenchmark, TheWrongKindOfFileIsNamed) {
  for (const char* content : {"{}", "[]", "[1, 2]", R"([{"messages": []}])", "[[]]", "3"}) {
    EXPECT_THAT(refusal(write("x.json", std::string(content))),
                HasSubstr("no annotations of a known benchmark"))
        << content;
  }
  EXPECT_THAT(refusal(write("cut.json", ovo_entries().dump().substr(0, 400))),
              HasSubstr("cut.json, line 1: neither JSON nor JSON Lines"));
  EXPECT_THAT(refusal(folder_ / "absent.json"), HasSubstr("absent.json"));
}

TEST_F(LoadBenchmark, ABrokenEntryIsNamed) {
  nlohmann::json entries = ovo_entries();
  entries[1].erase("options");
  EXPECT_THAT(refusal(write("ovo.json", entries)), HasSubstr("ovo.json, entry 2"));
  entries = streaming_real();
  entries[0]["questions"][1]["time_stamp"] = "soon";
  EXPECT_THAT(refusal(write("real.json", entries)),
              testing::AllOf(HasSubstr("no time: \"soon\""), HasSubstr("entry 1")));
}

TEST_F(LoadBenchmark, ATaskThatIsNotThereIsRefused) {
  EXPECT_THAT(refusal(write("ovo.json", ovo_entries()), {kOfficial, {"EMP"}, 0}),
              HasSubstr("no entry of the tasks EMP"));
}

TEST_F(LoadBenchmark, APlaceholderInAQuestionIsRefused) {
  nlohmann::json entries = ovo_entries();
  for (const char* text : {"<image>", "<stream>", "<|im_end|>", "</Response>"}) {
    entries[0]["question"] = std::string("Is ") + text + " shown?";
    EXPECT_THAT(refusal(write("ovo.json", entries)), HasSubstr(std::string("holds ") + text));
  }
}

}  // namespace
}  // namespace streamo::eval
