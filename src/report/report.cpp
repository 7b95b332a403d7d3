// Assembles the page from the run's records: headline numbers, training curves, held-out scores,
// timelines, skipped samples, settings.
#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/io/file.h"
#include "metrics/terminal.h"
#include "report/charts.h"
#include "report/evaluation_section.h"
#include "report/page.h"
#include "report/timeline_section.h"
#include "run/run_records.h"

namespace streamo::report {

using run::Json;
namespace {

std::string section(const std::string& title, const std::string& note, const std::string& body) {
  if (body.empty()) return "";
  return fmt::format("<section><h2>{}</h2>{}{}</section>\n", title,
                     note.empty() ? "" : "<p class=\"note\">" + note + "</p>", body);
}

std::vector<double> metric_values(const std::vector<Json>& steps, const std::string& pointer) {
  std::vector<double> values;
  for (const Json& step : steps) {
    if (const auto value = run::number_at(step, pointer)) values.push_back(*value);
  }
  return values;
}

Series make_series(const std::vector<Json>& steps, const std::string& name, const std::string& css,
                   const std::string& pointer) {
  Series series{name, css, {}};
  for (const Json& step : steps) {
    const auto x = run::number_at(step, "/step"), y = run::number_at(step, pointer);
    if (x && y) series.points.push_back({*x, *y});
  }
  return series;
}

// ---- Headline ----

std::string tile(const std::string& value, const std::string& unit, const std::string& label) {
  return fmt::format("<div class=\"card tile\"><b>{} <small>{}</small></b><span>{}</span></div>\n",
                     value, unit, label);
}

std::string headline(const run::RunRecords& data) {
  std::string html;
  const auto add_percent = [&](const char* pointer, const char* label) {
    if (const auto share = run::number_at(data.eval, pointer)) {
      html += tile(fmt::format("{:.1f}", 100 * *share), "%", label);
    }
  };
  if (const auto score = run::number_at(data.eval, "/macro_f1")) {
    html += tile(fmt::format("{:.3f}", *score), "", "macro F1 of the states");
  }
  add_percent("/response_timing/within_1s", "responses within 1 s");
  add_percent("/answer_exact_match", "answers exactly right");
  if (!data.steps.empty()) {
    if (const auto seconds = run::number_at(data.steps.back(), "/train_seconds")) {
      html += tile(metrics::format_duration(*seconds), "", "training time");
    }
  }
  if (std::vector<double> speeds = metric_values(data.steps, "/video_seconds_per_second");
      !speeds.empty()) {
    std::nth_element(speeds.begin(), speeds.begin() + static_cast<int64_t>(speeds.size() / 2),
                     speeds.end());
    html += tile(format_tick(speeds[speeds.size() / 2]), "video-s/s", "median training speed");
  }
  return html.empty() ? "" : "<div class=\"tiles\">" + html + "</div>\n";
}

std::string subtitle(const run::RunRecords& data) {
  std::vector<std::string> parts;
  std::string model = run::text_at(data.config, "/model/path");
  if (model.empty()) model = run::text_at(data.config, "/model/preset");
  if (!model.empty())
    parts.push_back(escape_html(std::filesystem::path(model).filename().string()));
  if (!data.steps.empty()) {
    const auto step = run::number_at(data.steps.back(), "/step"),
               total = run::number_at(data.steps.back(), "/total_steps");
    if (step && total) parts.push_back(fmt::format("step {:.0f} of {:.0f}", *step, *total));
  }
  if (const auto samples = run::number_at(data.eval, "/samples")) {
    parts.push_back(fmt::format("evaluated on {:.0f} held-out samples, {:.0f} turns, at step {}",
                                *samples, run::number_at(data.eval, "/turns").value_or(0),
                                data.eval_step));
  }
  if (const auto step = run::number_at(data.best, "/step")) {
    parts.push_back(fmt::format("best model of step {:.0f} ({} {})", *step,
                                escape_html(run::text_at(data.best, "/metric")),
                                format_tick(run::number_at(data.best, "/value").value_or(0))));
  }
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : " &middot; ") + part;
  return "<p class=\"subtitle\">" + text + "</p>\n";
}

// ---- Training ----

// How the scores came about, when the run evaluated more than once.
std::string progress(const std::vector<Json>& evals) {
  const std::string scores =
      line_chart({"Held-out scores",
                  "",
                  {make_series(evals, "macro F1", "series-0", "/eval/macro_f1"),
                   make_series(evals, "within 1 s", "series-1", "/eval/response_timing/within_1s"),
                   make_series(evals, "exact answers", "series-2", "/eval/answer_exact_match")},
                  1.0,
                  /*smoothed=*/false});
  if (scores.empty()) return "";
  return scores +
         line_chart({"Held-out responses: F1 by tolerance",
                     "",
                     {make_series(evals, "1 s", "series-0", "/eval/responses/within_1s/f1"),
                      make_series(evals, "2 s", "series-1", "/eval/responses/within_2s/f1"),
                      make_series(evals, "5 s", "series-2", "/eval/responses/within_5s/f1")},
                     1.0,
                     /*smoothed=*/false}) +
         line_chart({"Held-out false responses a minute",
                     "",
                     {make_series(evals, "false", "series-1", "/eval/false_responses_per_minute")},
                     0,
                     /*smoothed=*/false}) +
         line_chart({"Held-out timing: seconds off, of the responses met",
                     "",
                     {make_series(evals, "median", "series-0", "/eval/response_timing/median"),
                      make_series(evals, "90 %", "series-1", "/eval/response_timing/p90")},
                     0,
                     /*smoothed=*/false}) +
         line_chart({"Held-out grounding and calibration",
                     "",
                     {make_series(evals, "mIoU", "series-0", "/eval/grounding/mean_iou"),
                      make_series(evals, "ECE", "series-1", "/eval/calibration/ece")},
                     1.0,
                     /*smoothed=*/false});
}

std::string training(const std::vector<Json>& steps, const std::vector<Json>& evals) {
  std::string html =
      line_chart({"Loss",
                  "",
                  {make_series(steps, "weighted total", "series-0", "/loss"),
                   make_series(steps, "state tokens", "series-1", "/loss_state"),
                   make_series(steps, "text", "series-2", "/loss_text")}}) +
      line_chart({"Recall of the states in training",
                  "",
                  {make_series(steps, "Silence", "silence", "/states/Silence/recall"),
                   make_series(steps, "Standby", "standby", "/states/Standby/recall"),
                   make_series(steps, "Response", "response", "/states/Response/recall")},
                  1.0}) +
      line_chart({"Video seconds trained a second",
                  "",
                  {make_series(steps, "video-s/s", "series-2", "/video_seconds_per_second")}}) +
      line_chart({"Learning rate",
                  "",
                  {make_series(steps, "lr", "series-0", "/lr")},
                  0,
                  /*smoothed=*/false});
  if (const std::string scores = progress(evals); !scores.empty()) {
    html += scores;  // and one more beside them: cards come in pairs
    html += line_chart({"Gradient norm",
                        "",
                        {make_series(steps, "norm before clipping", "series-2", "/grad_norm")}});
  }
  return html.empty() ? "" : "<div class=\"grid-2\">" + html + "</div>";
}

// ---- What was left out, and the settings ----

std::string skipped_table(const run::RunRecords& data) {
  constexpr size_t kMost = 50;
  std::string rows;
  for (size_t i = 0; i < std::min(data.skipped.size(), kMost); ++i) {
    rows += fmt::format("<tr><td>{}</td><td>{}</td></tr>", escape_html(data.skipped[i].first),
                        escape_html(data.skipped[i].second));
  }
  if (rows.empty()) return "";
  if (data.skipped.size() > kMost) {
    rows += fmt::format("<tr><td></td><td>and {} more, all in skipped.jsonl</td></tr>",
                        data.skipped.size() - kMost);
  }
  return "<div class=\"card\"><table><tr><th>sample</th><th>why</th></tr>" + rows +
         "</table></div>";
}

std::string settings(const Json& config) {
  if (!config.is_object()) return "";
  std::string html;
  for (const auto& [name, part] : config.items()) {
    if (!part.is_object()) continue;
    std::string rows;
    for (const auto& [key, value] : part.items()) {
      rows += fmt::format("<tr><td>{}</td><td>{}</td></tr>", escape_html(key),
                          escape_html(value.is_string() ? value.get<std::string>() : value.dump()));
    }
    html += fmt::format("<div class=\"card\"><h3>{}</h3><table>{}</table></div>", escape_html(name),
                        rows);
  }
  return html.empty() ? "" : "<div class=\"settings\">" + html + "</div>";
}

}  // namespace

std::filesystem::path report_page(const std::filesystem::path& run_dir) {
  return run_dir / "report.html";
}

void write_report(const std::filesystem::path& run_dir) {
  constexpr size_t kTimelines = 8;
  const run::RunRecords data = run::read_run_records(run_dir);
  const std::filesystem::path page = core::output_file(report_page(run_dir), {}, is_our_page());
  const std::string keys =
      "<span class=\"legend\"><span class=\"key silence\">Silence</span>"
      "<span class=\"key standby\">Standby</span><span class=\"key "
      "response\">Response</span></span>";
  const std::string name = escape_html(data.run_name);
  const std::string body =
      "<h1>" + name + "</h1>\n" + subtitle(data) + headline(data) +
      section("Training", "", training(data.steps, data.evals)) +
      section("Held-out videos", "", evaluation_cards(data.eval)) +
      section("Second by second", keys, timeline_cards(data.eval, kTimelines)) +
      section(fmt::format("Left out: {} samples", data.skipped.size()), "", skipped_table(data)) +
      section("Settings", "", settings(data.config)) +
      "<footer>Made by Streamo from the files of the run's folder.</footer>\n";
  core::write_file_atomic(page, html_page(name + " &ndash; Streamo", body));
}

}  // namespace streamo::report
