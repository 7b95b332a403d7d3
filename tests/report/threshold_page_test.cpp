// Truth: what the curve says must be on the page. How it looks was judged by eye in a browser.
#include "report/threshold_page.h"

#include <gmock/gmock.h>

namespace streamo::report {
namespace {

using testing::HasSubstr;
using testing::Not;

eval::OperatingCurve curve_of_a_minute() {
  eval::Timeline timeline;
  timeline.turns.resize(60);
  for (auto& turn : timeline.turns) turn.probabilities = {0.9f, 0.0f, 0.1f};
  timeline.turns[10].truth = text::State::kResponse;
  timeline.turns[11].probabilities = {0.2f, 0.0f, 0.8f};
  timeline.turns[30].probabilities = {0.4f, 0.0f, 0.6f};
  return eval::operating_curve({{timeline}, true}, eval::kMatchWindow);
}

TEST(ThresholdPage, ShowsBothChartsTheTableAndTheWantedPoint) {
  const std::string html = threshold_page(curve_of_a_minute(), "runs/a <b>/eval-3.json", 0.5);
  EXPECT_THAT(html, HasSubstr("runs/a &lt;b&gt;/eval-3.json"));
  EXPECT_THAT(html, HasSubstr("Responses met, by false alarms a minute"));
  EXPECT_THAT(html, HasSubstr("By the threshold"));
  EXPECT_THAT(html, HasSubstr("threshold 0.8000: meets 100.0 %"));
  EXPECT_THAT(html, HasSubstr("class=\"mark\""));
  EXPECT_THAT(html, Not(HasSubstr("recall <b>")));  // a curve's end says nothing here
  EXPECT_THAT(html, Not(HasSubstr("http")));        // nothing is fetched
}

TEST(ThresholdPage, MarksNothingWhenNothingIsWanted) {
  const std::string html = threshold_page(curve_of_a_minute(), "x", std::nullopt);
  EXPECT_THAT(html, Not(HasSubstr("class=\"mark\"")));
}

}  // namespace
}  // namespace streamo::report
