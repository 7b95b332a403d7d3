// Builds cards from the evaluation's JSON; a card whose numbers are missing is left out.
#include "report/evaluation_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "report/charts.h"
#include "streamo/text/special_tokens.h"

namespace streamo::report {

using run::Json;
namespace {

std::string figure(const std::string& title, const std::string& body) {
  return fmt::format("<figure class=\"card\"><figcaption><h3>{}</h3></figcaption>{}</figure>\n",
                     title, body);
}

std::string confusion(const Json& eval) {
  std::array<std::array<int64_t, 3>, 3> counts{};
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) {
      const auto count = run::number_at(eval, fmt::format("/confusion/{}/{}", i, j));
      if (!count) return "";
      counts[i][j] = static_cast<int64_t>(*count);
    }
  }
  return figure("What was true, what the model chose", confusion_matrix(counts));
}

std::string timing(const Json& eval) {
  constexpr double kOnTime = 1.0;
  std::vector<double> errors;
  if (eval.is_object() && eval.contains("response_errors")) {
    for (const Json& error : eval["response_errors"]) {
      if (error.is_number()) errors.push_back(error.get<double>());
    }
  }
  return errors.empty() ? ""
                        : figure("When it spoke, against when it should have",
                                 timing_histogram(errors, kOnTime));
}

std::string fixed(const std::optional<double>& value, int digits) {
  return value ? fmt::format("{:.{}f}", *value, digits) : "&ndash;";
}

std::string percent(const std::optional<double>& value) {
  return value ? fmt::format("{:.1f} %", 100 * *value) : "&ndash;";
}

std::string cell(const std::string& text) {
  return "<td class=\"number\">" + text + "</td>";
}

std::string heading(const std::vector<std::string>& columns) {
  std::string html = "<tr><th>" + columns[0] + "</th>";
  for (size_t i = 1; i < columns.size(); ++i) {
    html += "<th class=\"number\">" + columns[i] + "</th>";
  }
  return html + "</tr>";
}

std::string state_table(const Json& eval) {
  std::string rows;
  for (const std::string_view name : text::kStateNames) {
    const std::string at = "/states/" + std::string(name);
    const auto f1 = run::number_at(eval, at + "/f1");
    if (!f1) continue;
    std::string css(name);
    css[0] = static_cast<char>(css[0] - 'A' + 'a');
    rows += fmt::format("<tr><td><span class=\"key {}\">{}</span></td>", css, name) +
            cell(fixed(run::number_at(eval, at + "/precision"), 3)) +
            cell(fixed(run::number_at(eval, at + "/recall"), 3)) +
            cell("<b>" + fixed(f1, 3) + "</b>") +
            cell(fixed(run::number_at(eval, at + "/support").value_or(0), 0)) + "</tr>";
  }
  if (rows.empty()) return "";
  return figure("States", "<table>" + heading({"state", "precision", "recall", "F1", "turns"}) +
                              rows + "</table>");
}

std::string response_table(const Json& eval) {
  std::string rows;
  for (const char* tolerance : {"1", "2", "5"}) {
    const std::string at = fmt::format("/responses/within_{}s", tolerance);
    if (!run::number_at(eval, at + "/recall")) continue;
    rows += fmt::format("<tr><td>within {} s</td>", tolerance) +
            cell(fixed(run::number_at(eval, at + "/precision"), 3)) +
            cell(fixed(run::number_at(eval, at + "/recall"), 3)) +
            cell("<b>" + fixed(run::number_at(eval, at + "/f1"), 3) + "</b>") + "</tr>";
  }
  if (rows.empty()) return "";
  std::string note =
      fmt::format("{} false a minute, of them {} duplicates; {} of the met ones early",
                  fixed(run::number_at(eval, "/false_responses_per_minute"), 2),
                  fixed(run::number_at(eval, "/responses/duplicates"), 0),
                  percent(run::number_at(eval, "/response_timing/early_share")));
  if (const auto iou = run::number_at(eval, "/grounding/mean_iou")) {
    note += fmt::format("; mIoU of standby {:.3f}", *iou);
  }
  return figure("Responses as events", "<table>" +
                                           heading({"responses", "precision", "recall", "F1"}) +
                                           rows + "</table><p class=\"below\">" + note + "</p>");
}

std::string calibration(const Json& eval) {
  std::vector<ReliabilityBin> bins;
  for (int i = 0;; ++i) {
    const std::string at = fmt::format("/calibration/bins/{}", i);
    const auto turns = run::number_at(eval, at + "/turns"),
               confidence = run::number_at(eval, at + "/confidence"),
               accuracy = run::number_at(eval, at + "/accuracy");
    if (!turns || !confidence || !accuracy) break;
    bins.push_back({*turns, *confidence, *accuracy});
  }
  const auto error = run::number_at(eval, "/calibration/ece");
  if (bins.empty() || !error) return "";
  return figure(fmt::format("How sure it was, how often right: ECE {:.3f}", *error),
                reliability_diagram(bins));
}

std::string group_table(const Json& eval, const char* key, const char* title, const char* name) {
  if (!eval.is_object() || !eval.contains(key) || !eval[key].is_object()) return "";
  std::string rows;
  for (const auto& [group, scores] : eval[key].items()) {
    const auto score = run::number_at(scores, "/macro_f1");
    rows += fmt::format(
        "<tr><td>{}</td><td class=\"number\"><span class=\"meter\"><i "
        "style=\"width:{:.1f}%\"></i></span>{}</td>",
        group.empty() ? "&ndash;" : escape_html(group),
        100 * std::clamp(score.value_or(0), 0.0, 1.0), fixed(score, 3));
    rows += cell(fixed(run::number_at(scores, "/response_f1"), 3)) +
            cell(percent(run::number_at(scores, "/within_1s"))) +
            cell(percent(run::number_at(scores, "/answer_exact_match"))) +
            cell(fixed(run::number_at(scores, "/false_responses_per_minute"), 2)) +
            cell(fmt::format("{:.0f}", run::number_at(scores, "/samples").value_or(0))) + "</tr>";
  }
  if (rows.empty()) return "";
  return figure(title, "<table>" +
                           heading({name, "macro F1", "resp. F1", "within 1 s", "exact",
                                    "false/min", "videos"}) +
                           rows + "</table>");
}

}  // namespace

std::string evaluation_cards(const Json& eval) {
  const std::string html = confusion(eval) + timing(eval) + state_table(eval) +
                           response_table(eval) + group_table(eval, "tasks", "Tasks", "task") +
                           calibration(eval) + group_table(eval, "sources", "Sources", "source");
  return html.empty() ? "" : "<div class=\"grid-2\">" + html + "</div>";
}

}  // namespace streamo::report
