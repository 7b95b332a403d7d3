// Draws a timeline as SVG rectangles, and chooses which timelines to show: round-robin over the
// tasks.
#include "report/timeline_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "report/charts.h"
#include "report/page.h"
#include "streamo/text/special_tokens.h"

namespace streamo::report {

using run::Json;
namespace {

// Screen units: two rows of turns, marks of disagreement, then the probabilities.
constexpr double kWidth = 1000, kLeft = 70, kTrueTop = 4, kPredictedTop = 26, kRow = 18;
constexpr double kMarkTop = 47, kProbabilityTop = 56, kProbabilityHeight = 34, kHeight = 110;

struct Turn {
  std::string question, truth, predicted, truth_answer, answer;
  std::vector<double> probabilities;  // of kStateNames; empty when not recorded
};

struct Strip {
  double fps = 1;
  std::vector<Turn> turns;

  bool has_truth() const {
    return std::any_of(turns.begin(), turns.end(), [](const Turn& t) { return !t.truth.empty(); });
  }
  double x(size_t turn) const {
    return kLeft + (kWidth - kLeft) * static_cast<double>(turn) / static_cast<double>(turns.size());
  }
  std::string second(size_t turn) const { return format_tick(static_cast<double>(turn) / fps); }
};

Strip read_strip(const Json& timeline) {
  Strip strip;
  strip.fps = std::max(run::number_at(timeline, "/fps").value_or(1), 1e-3);
  const auto turns = timeline.find("turns");
  if (turns == timeline.end() || !turns->is_array()) return strip;
  for (const Json& entry : *turns) {
    Turn turn{run::text_at(entry, "/question"),  run::text_at(entry, "/truth"),
              run::text_at(entry, "/predicted"), run::text_at(entry, "/truth_answer"),
              run::text_at(entry, "/answer"),    {}};
    for (size_t state = 0; state < text::kNumStates; ++state) {
      const auto probability = run::number_at(entry, fmt::format("/probabilities/{}", state));
      if (probability) turn.probabilities.push_back(*probability);
    }
    strip.turns.push_back(std::move(turn));
  }
  return strip;
}

std::string state_class(const std::string& state) {
  for (size_t i = 0; i < kStateClasses.size(); ++i) {
    if (state == text::kStateNames[i]) return kStateClasses[i];
  }
  return "well";
}

// Neighbouring turns of one state are one rectangle.
std::string row(const Strip& strip, const char* label, double top, std::string Turn::*state) {
  std::string svg =
      fmt::format("<text class=\"label\" x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
                  kLeft - 8, top + kRow - 5, label);
  for (size_t start = 0, end = 0; start < strip.turns.size(); start = end) {
    const std::string& name = strip.turns[start].*state;
    for (end = start; end < strip.turns.size() && strip.turns[end].*state == name;) ++end;
    svg += fmt::format(
        "<rect class=\"fill {}\" x=\"{:.1f}\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"{:.0f}\" "
        "rx=\"2\">"
        "<title>{} to {} s: {}</title></rect>",
        state_class(name), strip.x(start), top, std::max(strip.x(end) - strip.x(start) - 1, 1.0),
        kRow, strip.second(start), strip.second(end), escape_html(name));
  }
  return svg;
}

std::string disagreements(const Strip& strip) {
  std::string svg;
  for (size_t i = 0; i < strip.turns.size(); ++i) {
    if (strip.turns[i].truth == strip.turns[i].predicted) continue;
    svg += fmt::format(
        "<rect class=\"mark\" x=\"{:.1f}\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"3\"/>",
        strip.x(i), kMarkTop, std::max(strip.x(i + 1) - strip.x(i) - 1, 1.0));
  }
  return svg;
}

std::string probability_curve(const Strip& strip, size_t state, const char* css) {
  std::string path;
  for (size_t i = 0; i < strip.turns.size(); ++i) {
    if (strip.turns[i].probabilities.size() <= state) return "";
    const double y =
        kProbabilityTop + kProbabilityHeight * (1 - strip.turns[i].probabilities[state]);
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L",
                        (strip.x(i) + strip.x(i + 1)) / 2, y);
  }
  return fmt::format("<path class=\"curve thin {}\" d=\"{}\"/>", css, path);
}

std::string seconds_axis(const Strip& strip) {
  const double length = static_cast<double>(strip.turns.size()) / strip.fps;
  double step = 1;
  for (const double candidate : {2, 5, 10, 20, 30, 60, 120, 300, 600, 1800}) {
    if (length / step > 12) step = candidate;
  }
  std::string svg;
  for (double second = 0; second <= length; second += step) {
    const double x = kLeft + (kWidth - kLeft) * second / length;
    svg +=
        fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.0f}\" text-anchor=\"{}\">{} s</text>",
                    x, kHeight - 4, x > kWidth - 20 ? "end" : "middle", format_tick(second));
  }
  return svg;
}

std::string strip_svg(const Strip& strip) {
  std::string svg = row(strip, "predicted", kPredictedTop, &Turn::predicted);
  if (strip.has_truth()) svg += row(strip, "true", kTrueTop, &Turn::truth) + disagreements(strip);
  const std::string standby = probability_curve(strip, 1, "standby");
  if (!standby.empty()) {
    svg += fmt::format(
        "<text class=\"tick\" x=\"{0:.0f}\" y=\"{1:.0f}\" text-anchor=\"end\">probability</text>"
        "<line class=\"grid\" x1=\"{2:.0f}\" x2=\"{3:.0f}\" y1=\"{4:.0f}\" y2=\"{4:.0f}\"/>",
        kLeft - 8, kProbabilityTop + kProbabilityHeight / 2 + 4, kLeft, kWidth,
        kProbabilityTop + kProbabilityHeight);
    svg += standby + probability_curve(strip, 2, "response");
  }
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"Turns\">{}{}</svg>", kWidth,
      kHeight, svg, seconds_axis(strip));
}

// Questions and answers in the order of time.
std::string dialogue(const Strip& strip, size_t most_lines) {
  std::vector<std::string> lines;
  const auto add = [&](size_t turn, const char* css, const char* who, const std::string& text) {
    if (text.empty()) return;
    lines.push_back(fmt::format("<li class=\"{}\"><time>{} s</time><i>{}</i><span>{}</span></li>",
                                css, strip.second(turn), who, escape_html(text)));
  };
  for (size_t i = 0; i < strip.turns.size(); ++i) {
    const Turn& turn = strip.turns[i];
    add(i, "asked", "asked", turn.question);
    if (turn.truth == "Response" && turn.predicted == "Response" &&
        turn.answer == turn.truth_answer) {
      add(i, "agreed", "said", turn.answer);
      continue;
    }
    if (turn.truth == "Response") add(i, "due", "due", turn.truth_answer);
    if (turn.predicted == "Response")
      add(i, "said", "said", turn.answer.empty() ? "(nothing)" : turn.answer);
  }
  std::string html;
  for (size_t i = 0; i < std::min(lines.size(), most_lines); ++i) html += lines[i];
  if (lines.size() > most_lines) {
    html += fmt::format("<li><time></time><i></i><span>and {} more</span></li>",
                        lines.size() - most_lines);
  }
  return "<ul class=\"dialogue\">" + html + "</ul>";
}

}  // namespace

std::string timeline_card(const Json& timeline, size_t most_lines) {
  const Strip strip = read_strip(timeline);
  if (strip.turns.empty()) return "";
  std::string title = run::text_at(timeline, "/video_name");
  if (title.empty()) title = run::text_at(timeline, "/id");
  return fmt::format(
      "<article class=\"card timeline\"><header><h3>{}</h3><span "
      "class=\"tag\">{}</span></header>{}{}"
      "</article>\n",
      escape_html(title), escape_html(run::text_at(timeline, "/task_type")), strip_svg(strip),
      dialogue(strip, most_lines));
}

std::string timeline_cards(const Json& eval, size_t count) {
  if (!eval.is_object() || !eval.contains("timelines") || !eval["timelines"].is_array()) return "";
  std::map<std::string, std::vector<const Json*>> by_task;
  for (const Json& timeline : eval["timelines"]) {
    if (timeline.is_object()) by_task[run::text_at(timeline, "/task_type")].push_back(&timeline);
  }
  std::vector<const Json*> chosen;
  for (size_t round = 0, before = 1; chosen.size() != before && chosen.size() < count; ++round) {
    before = chosen.size();
    for (const auto& [task, timelines] : by_task) {
      if (round < timelines.size() && chosen.size() < count) chosen.push_back(timelines[round]);
    }
  }
  constexpr size_t kMostLines = 9;
  std::string html;
  for (const Json* timeline : chosen) html += timeline_card(*timeline, kMostLines);
  return html;
}

}  // namespace streamo::report
