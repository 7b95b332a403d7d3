// `streamo watch` as a user calls it, on a small random model and clips made here. Truth: the
// example program, which drives a session itself; a file against the same video through a pipe and
// over HTTP; what the arguments say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "support/http_file_server.h"
#include "support/numbered_clip.h"
#include "support/tiny_model.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CommandResult;
using test::shell_quote;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kSeconds = 6;

class WatchCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    test::make_tiny_model(folder(), "data.min_pixels=3136 data.max_pixels=100352");
    test::ClipRecipe recipe;
    recipe.frames = 5 * kSeconds;
    recipe.rate = "5";
    test::make_clip(folder() / "a.mp4", recipe);
    std::ofstream(folder() / "raw.json") << R"([{"video_name": "a", "video_path": "a.mp4",
        "task_type": "t", "source": "s", "question": [{"content": "When is it <late>?", "time": "2"}],
        "response": [{"content": "Late it is", "st_time": "3", "end_time": "4"}]}])";
  }
  static void TearDownTestSuite() { fs::remove_all(folder()); }
  static fs::path folder() {
    return fs::path(testing::TempDir()) / ("watch-command-" + std::to_string(::getpid()));
  }

  static CommandResult shell(const std::string& command) {
    return test::run_in(folder(), "export OMP_NUM_THREADS=1; unset COLORTERM; " + command);
  }
  static std::string command(const std::string& arguments) {
    return shell_quote(STREAMO_BINARY) + " watch " + arguments;
  }
  static CommandResult watch(const std::string& arguments) {
    return shell(command("--model run/final " + arguments));
  }
  static std::vector<json> lines(const CommandResult& result) {
    std::vector<json> lines;
    std::istringstream text(result.out);
    for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
    return lines;
  }
  // What must be equal however a video comes in.
  static std::vector<json> without_times(std::vector<json> lines) {
    for (json& line : lines) {
      for (const char* key : {"latency", "lag"}) line.erase(key);
    }
    return lines;
  }
  static std::string read(const std::string& name) {
    std::ifstream file(folder() / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(WatchCommand, TextHasALineASecondAndASummary) {
  const CommandResult result =
      watch("--video a.mp4 --question 'What now?@2' --response-threshold 0");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), kSeconds) << result.out;
  EXPECT_THAT(result.out, HasSubstr("     2 s  Response"));
  EXPECT_THAT(result.out, HasSubstr("? What now?"));
  EXPECT_THAT(result.out.substr(0, result.out.find("     2 s")), Not(HasSubstr("Response")))
      << "it speaks before it is asked";
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b"))) << "no colours where there is no terminal";
  EXPECT_THAT(result.err, HasSubstr("6 turns watched, 4 replies"));
}

TEST_F(WatchCommand, JsonIsWhatASessionSays) {
  const CommandResult result = watch("--video a.mp4 --question 'What now?' --json");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const CommandResult session =
      shell(shell_quote(STREAMO_LIVE_EXAMPLE) + " run/final a.mp4 'What now?'");
  ASSERT_EQ(session.exit_code, 0) << session.err;
  const std::vector<json> turns = lines(result);
  ASSERT_EQ(turns.size(), size_t{kSeconds});
  const std::regex line("\t(\\w+)\t(\\S+) (\\S+) (\\S+)\n");
  std::sregex_iterator said(session.out.begin(), session.out.end(), line);
  for (int second = 0; second < kSeconds; ++second, ++said) {
    const json& turn = turns[static_cast<size_t>(second)];
    ASSERT_NE(said, std::sregex_iterator()) << session.out;
    EXPECT_EQ(turn.at("index"), second);
    EXPECT_EQ(turn.at("second"), second);
    EXPECT_EQ(turn.at("state"), said->str(1));
    const json& probabilities = turn.at("probabilities");
    // The example prints six digits.
    EXPECT_NEAR(probabilities.at("Silence"), std::stod(said->str(2)), 2e-6) << turn;
    EXPECT_NEAR(probabilities.at("Standby"), std::stod(said->str(3)), 2e-6) << turn;
    EXPECT_NEAR(probabilities.at("Response"), std::stod(said->str(4)), 2e-6) << turn;
    EXPECT_EQ(turn.contains("questions"), second == 0);
    EXPECT_GT(turn.at("latency"), 0.0);
  }
}

TEST_F(WatchCommand, PipesAndOneWayFilesGiveWhatTheFileGives) {
  const std::string rest = " --question 'What now?' --json";
  const auto file = without_times(lines(watch("--video a.mp4" + rest)));
  ASSERT_EQ(file.size(), size_t{kSeconds});
  EXPECT_EQ(without_times(lines(watch("--video a.mp4 --live" + rest))), file);
  for (const char* source : {"cat a.mp4", "ffmpeg -v error -i a.mp4 -c copy -f mpegts -",
                             "ffmpeg -v error -i a.mp4 -c copy -f matroska -"}) {
    const CommandResult piped =
        shell(source + (" | " + command("--model run/final --video -" + rest)));
    ASSERT_EQ(piped.exit_code, 0) << source << piped.err;
    EXPECT_EQ(without_times(lines(piped)), file) << source;
  }
}

TEST_F(WatchCommand, SecretsOfAUrlAreNotShown) {
  const test::HttpFileServer server(folder() / "a.mp4", test::HttpFileServer::Manner::kGood);
  const auto url = [](int port) {
    return fmt::format("'http://me:geheim@127.0.0.1:{}/a.mp4?token=hush'", port);
  };
  const std::string rest = " --question 'What now?' --json --html url.html";
  const CommandResult result = watch("--video " + url(server.port()) + rest);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(without_times(lines(result)),
            without_times(lines(watch("--video a.mp4 --question 'What now?' --json"))));
  const CommandResult refused = watch("--video " + url(1) + rest);
  EXPECT_EQ(refused.exit_code, 11);
  EXPECT_THAT(refused.err, HasSubstr("127.0.0.1:1"));
  for (const std::string& text :
       {result.out, result.err, read("url.html"), refused.out, refused.err}) {
    EXPECT_THAT(text, AllOf(Not(HasSubstr("geheim")), Not(HasSubstr("hush"))));
  }
}

TEST_F(WatchCommand, ThePageStandsAloneAndNamesTheTruth) {
  const CommandResult result =
      watch("--video a.mp4 --annotations raw.json --html page.html --response-threshold 0");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("? When is it <late>?"))
      << "the annotation's question is asked";
  const std::string page = read("page.html");
  EXPECT_THAT(page, HasSubstr("</html>"));
  EXPECT_THAT(page, AllOf(Not(HasSubstr("http:")), Not(HasSubstr("https:")),
                          Not(HasSubstr("@import")), Not(HasSubstr("<script src"))));
  EXPECT_THAT(page, HasSubstr("When is it &lt;late&gt;?"));
  EXPECT_THAT(page, HasSubstr("Late it is")) << "the true answer";
  size_t pictures = 0;
  for (size_t at = 0; (at = page.find("data:image/jpeg;base64,", at)) != std::string::npos; ++at)
    ++pictures;
  EXPECT_EQ(pictures, size_t{kSeconds});
  const CommandResult other = watch("--video a.mp4 --annotations raw.json --question 'Who?'");
  EXPECT_EQ(other.exit_code, 11);
  EXPECT_THAT(other.err, HasSubstr("raw.json: no sample of this video that asks this question"));
}

// 500 turns a second are more than the model can do: a model folder that says so.
TEST_F(WatchCommand, FramesThatComeTooFastAreQueuedOrDropped) {
  fs::copy(folder() / "run/final", folder() / "fast", fs::copy_options::recursive);
  json settings = json::parse(read("fast/streamo.json"));
  settings["fps"] = 500;
  std::ofstream(folder() / "fast/streamo.json") << settings.dump();
  ASSERT_EQ(shell("ffmpeg -v error -y -i a.mp4 -vf setpts=PTS/12 -r 60 fast.mp4").exit_code, 0);
  const std::string rest = "--model fast --video fast.mp4 --json --realtime --behind ";
  const CommandResult queued = shell(command(rest + "queue"));
  ASSERT_EQ(queued.exit_code, 0) << queued.err;
  EXPECT_THAT(queued.err, AllOf(HasSubstr("behind real time"), HasSubstr("queued (--behind)"),
                                Not(HasSubstr("frames dropped"))));
  const std::vector<json> all = lines(queued);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].at("index"), i);
  EXPECT_GT(all.size(), 200U);

  const CommandResult dropping = shell(command(rest + "drop"));
  ASSERT_EQ(dropping.exit_code, 0) << dropping.err;
  EXPECT_THAT(dropping.err, AllOf(HasSubstr("dropped (--behind)"), HasSubstr("frames dropped")));
  int64_t next = 0, dropped = 0;
  for (const json& turn : lines(dropping)) {
    dropped += turn.value("dropped", int64_t{0});
    EXPECT_GE(turn.at("index"), next);
    next = turn.at("index").get<int64_t>() + 1;
  }
  EXPECT_GT(dropped, 0);
  EXPECT_EQ(lines(dropping).size() + static_cast<size_t>(dropped), all.size());
}

TEST_F(WatchCommand, InRealTimeASecondTakesASecondAndCtrlCEndsIt) {
  const CommandResult result =
      shell("start=$(date +%s%N); timeout --preserve-status -s INT 4 " +
            command("--model run/final --video a.mp4 --realtime --json --html cut.html") +
            "; code=$?; echo $(( ($(date +%s%N) - start) / 1000000 )) >&2; exit $code");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("finishing this second"));
  EXPECT_THAT(result.err, HasSubstr("stopped: "));
  EXPECT_THAT(read("cut.html"), AllOf(HasSubstr("stopped: "), HasSubstr("</html>")));
  const std::vector<json> turns = lines(result);
  EXPECT_GE(turns.size(), 1U);
  EXPECT_LE(turns.size(), 5U) << "four seconds after the start";
}

TEST_F(WatchCommand, ATerminalWithTrueColourShowsThePicture) {
  const CommandResult result = test::run_in(
      folder(), "export OMP_NUM_THREADS=1 COLORTERM=truecolor TERM=xterm; script -qec " +
                    shell_quote("stty cols 60; " + command("--model run/final --video a.mp4")) +
                    " typescript");
  ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("\x1b[38;2;"));
  EXPECT_THAT(result.out, HasSubstr("\x1b[48;2;"));
  EXPECT_THAT(result.out, HasSubstr("\u2580"));
  EXPECT_THAT(result.out, HasSubstr("A\x1b[38;2;")) << "each picture is drawn over the one before";
  EXPECT_THAT(result.out, HasSubstr("6 turns watched"));
}

TEST_F(WatchCommand, WrongInputsAreNamed) {
  const CommandResult no_file = watch("--video nothing.mp4");
  EXPECT_EQ(no_file.exit_code, 11);
  EXPECT_THAT(no_file.err, HasSubstr("nothing.mp4"));
  EXPECT_THAT(no_file.err, HasSubstr("--video"));
  const CommandResult no_video = watch("--video raw.json");
  EXPECT_EQ(no_video.exit_code, 11);
  EXPECT_THAT(no_video.err, HasSubstr("raw.json"));
  const CommandResult nothing_piped = watch("--video -");
  EXPECT_EQ(nothing_piped.exit_code, 11) << nothing_piped.err;
  const CommandResult no_model = shell(command("--model nowhere --video a.mp4"));
  EXPECT_EQ(no_model.exit_code, 12);
  EXPECT_THAT(no_model.err,
              AllOf(HasSubstr("nowhere: no such model directory"), HasSubstr("final")));
  const CommandResult wrong_model =
      shell("mkdir -p empty; " + command("--model empty --video a.mp4"));
  EXPECT_EQ(wrong_model.exit_code, 12);
  EXPECT_THAT(wrong_model.err, HasSubstr("empty"));
  EXPECT_EQ(watch("--video a.mp4 --window soon").exit_code, 2);
  EXPECT_EQ(watch("--video a.mp4 --behind wait").exit_code, 2);
  EXPECT_EQ(watch("--video a.mp4 --window 10 --overlap 10").exit_code, 10);
}

}  // namespace
}  // namespace streamo
