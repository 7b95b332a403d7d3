// Collects JPEG thumbnails as data URLs while the session runs, and thins out silent turns so that
// the page of an all-day stream stays small.
#include "app/watch/watch_page.h"

#include <fmt/format.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "report/charts.h"
#include "report/page.h"
#include "report/timeline_section.h"
#include "video/image/jpeg.h"

namespace streamo::app {
namespace {

using Json = nlohmann::ordered_json;

// Stills of a page at most; beyond, every second one of the silent seconds goes.
constexpr size_t kMostStills = 600;
constexpr int kQuality = 85;

constexpr std::string_view kStripStyle = R"css(
.strip{display:flex;overflow-x:auto;gap:4px;padding:8px 0}
.strip figure{margin:0;flex:0 0 auto;width:112px;font-size:12px;border-top:4px solid var(--colour)}
.strip img{width:112px;display:block}
.strip figcaption{display:block;margin:0;padding:2px 4px;overflow-wrap:anywhere}
)css";

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t three = 0;
    for (size_t j = 0; j < 3; ++j) {
      three = three << 8U | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += i + j > bytes.size() ? '=' : kDigits[three >> (18U - 6U * j) & 63U];
    }
  }
  return text;
}

std::string figure_html(const WatchedSecond& second) {
  const auto& p = second.round.probabilities;
  std::string caption = fmt::format("{:g} s", second.frame.time);
  for (const std::string& question : second.questions)
    caption += "<br><i>" + report::escape_html(question) + "</i>";
  if (second.round.state == text::State::kResponse)
    caption += "<br><b>" + report::escape_html(second.round.answer) + "</b>";
  return fmt::format(
      "<figure class=\"{}\" title=\"silence {:.2f}, standby {:.2f}, response {:.2f}\">"
      "<img alt=\"\" src=\"data:image/jpeg;base64,@\"><figcaption>{}</figcaption></figure>",
      report::kStateClasses[static_cast<size_t>(second.round.state)], p[0], p[1], p[2], caption);
}

}  // namespace

WatchPage::WatchPage(std::string title, double fps)
    : timeline_{{"video_name", std::move(title)}, {"fps", fps}, {"turns", Json::array()}} {}

void WatchPage::add(const WatchedSecond& second, const eval::TurnOutcome* truth) {
  Json& turns = timeline_["turns"];
  // Seconds that were dropped are seconds without a state.
  for (; next_index_ < second.frame.index; ++next_index_) turns.push_back(Json::object());
  ++next_index_;
  Json turn{{"predicted", text::state_name(second.round.state)},
            {"answer", second.round.answer},
            {"probabilities", second.round.probabilities}};
  std::string questions;
  for (const std::string& question : second.questions)
    questions += (questions.empty() ? "" : " / ") + question;
  turn["question"] = questions;
  if (truth != nullptr) {
    turn["truth"] = text::state_name(truth->truth);
    turn["truth_answer"] = truth->truth_answer;
  }
  turns.push_back(std::move(turn));
  const bool is_silent = second.round.state == text::State::kSilence && second.questions.empty();
  if (is_silent && second.frame.index % every_ != 0) return;
  const auto jpeg = video::encode_jpeg(second.frame.rgb, second.frame.size, kQuality);
  if (!jpeg) return;  // a side above 65500: no such frame gets here
  stills_.push_back({second.frame.index, is_silent, base64(*jpeg), figure_html(second)});
  if (stills_.size() > kMostStills) thin_out();
}

void WatchPage::thin_out() {
  every_ *= 2;
  std::erase_if(
      stills_, [this](const Still& still) { return still.is_silent && still.index % every_ != 0; });
}

std::string WatchPage::html(const std::string& summary) const {
  std::string strip;
  for (const Still& still : stills_) {
    const size_t at = still.figure.find('@');
    strip += still.figure.substr(0, at) + still.jpeg + still.figure.substr(at + 1) + "\n";
  }
  const std::string title = report::escape_html(timeline_["video_name"].get<std::string>());
  constexpr size_t kAllLines = 10'000;
  const std::string body = fmt::format(
      "<h1>{}</h1><p class=\"subtitle\">{}</p>"
      "<section><h2>Frames</h2><div class=\"strip\">\n{}</div></section>"
      "<section><h2>States</h2>{}</section>",
      title, report::escape_html(summary), strip, report::timeline_card(timeline_, kAllLines));
  return report::html_page(title + " &ndash; Streamo", body, kStripStyle);
}

}  // namespace streamo::app
