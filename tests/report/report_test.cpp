// Truth: the figures of the fake run must be on the page. How it looks was judged by eye in a
// browser.
#include "report/report.h"

#include <gmock/gmock.h>

#include <regex>

#include "core/io/file.h"
#include "streamo/core/error.h"
#include "train/fake_run.h"

namespace streamo::report {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

fs::path fresh_folder(const std::string& name) {
  const fs::path folder = fs::path(testing::TempDir()) / ("report_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

std::string read_report(const fs::path& folder) {
  write_report(folder);
  return core::read_file(folder / "report.html");
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Report, ShowsTheFiguresOfTheNewestEvaluation) {
  const fs::path folder = fresh_folder("full");
  train::write_fake_run(folder);
  const std::string html = read_report(folder);
  EXPECT_THAT(html, HasSubstr("<b>0.947 "));
  EXPECT_THAT(html, Not(HasSubstr("0.111")));  // of the older one
  EXPECT_THAT(html, HasSubstr("95.3 <small>%"));
  EXPECT_THAT(html, HasSubstr("true Standby, predicted Response: 13 turns"));
  EXPECT_THAT(html, HasSubstr("step 900 of 900"));
  EXPECT_THAT(html, HasSubstr("61 frames for 58 placeholders"));
  EXPECT_EQ(count(html, "<article"), 8U);
  EXPECT_EQ(count(html, "class=\"curve silence\""), 1U);
  EXPECT_THAT(html, HasSubstr("<h3>Held-out scores</h3>"));
  EXPECT_THAT(html, HasSubstr("<h3>Held-out timing: seconds off, of the responses met</h3>"));
  EXPECT_THAT(html, HasSubstr("<h3>Held-out grounding and calibration</h3>"));
  EXPECT_THAT(html, HasSubstr("alpha_scope"));
}

TEST(Report, IsSelfContainedAndEscapesWhatComesFromData) {
  const fs::path folder = fresh_folder("escape");
  train::write_fake_run(folder);
  auto eval = train::fake_eval();
  eval["timelines"][0]["turns"][0]["question"] = "<script>alert('x')</script> \"&\"";
  eval["tasks"]["<img src=x>"] = {{"samples", 1}};
  std::ofstream(folder / "eval-901.json") << eval.dump();
  const std::string html = read_report(folder);
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &quot;&amp;&quot;"));
  for (const char* forbidden : {"<script", "<img", "<link", "http:", "https:", "url(", "@import"}) {
    EXPECT_THAT(html, Not(HasSubstr(forbidden)));
  }
}

TEST(Report, LeavesOutWhatIsMissing) {
  const fs::path folder = fresh_folder("metrics_only");
  train::write_fake_metrics(folder, 50);  // too short for an evaluation
  const std::string html = read_report(folder);
  EXPECT_THAT(html, HasSubstr("<h2>Training</h2>"));
  for (const char* absent :
       {"Held-out videos", "Second by second", "Left out", "Settings", "macro F1 of the states"}) {
    EXPECT_THAT(html, Not(HasSubstr(absent)));
  }
}

// Whatever entry of the evaluation is absent, null or of another type: a page, and whole SVG
// pictures.
TEST(Report, SurvivesEveryDamageToTheEvaluation) {
  const fs::path folder = fresh_folder("damage");
  train::write_fake_run(folder);
  const nlohmann::ordered_json whole = train::fake_eval();
  const std::vector<nlohmann::ordered_json> damages = {
      nullptr, 1, "text", nlohmann::ordered_json::array({1}), nlohmann::ordered_json::object()};
  for (const auto& [key, value] : whole.items()) {
    for (const auto& damage : damages) {
      nlohmann::ordered_json eval = whole;
      eval[key] = damage;
      std::ofstream(folder / "eval-900.json") << eval.dump();
      const std::string html = read_report(folder);
      EXPECT_THAT(html, HasSubstr("</html>")) << key;
      EXPECT_EQ(count(html, "<svg"), count(html, "</svg>"));
      EXPECT_FALSE(std::regex_search(html, std::regex("[^a-z](nan|inf)[^a-z]")))
          << key << damage.dump();
    }
  }
  std::ofstream(folder / "eval-900.json")
      << R"({"timelines": [{"turns": [{}, 5, null]}, {"fps": 0}, 3]})";
  EXPECT_THAT(read_report(folder), HasSubstr("</html>"));
  std::ofstream(folder / "eval-900.json") << R"({"macro)";
  EXPECT_THAT(read_report(folder), HasSubstr("<h2>Training</h2>"));
}

TEST(Report, AFolderWithoutARunIsAnError) {
  EXPECT_THROW(write_report(fresh_folder("empty")), core::Error);
  EXPECT_THROW(write_report("/dev/null/run"), core::Error);
}

}  // namespace
}  // namespace streamo::report
