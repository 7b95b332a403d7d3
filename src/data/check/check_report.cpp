// Renders the result of a check as JSON and as text.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/percent.h"
#include "data/check/dataset_check.h"
#include "data/check/distribution.h"
#include "data/formats/number_text.h"

namespace streamo::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kBarWidth = 40;

double share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

int64_t sum(const std::vector<int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), int64_t{0});
}

Json to_json(const std::vector<int64_t>& values) {
  if (values.empty()) return nullptr;
  const Distribution spread = Distribution::of(values);
  Json json = {{"count", spread.count},   {"total", spread.total}, {"min", spread.min},
               {"median", spread.median}, {"p90", spread.p90},     {"p99", spread.p99},
               {"max", spread.max}};
  json["histogram"] = Json::array();
  for (const Distribution::Bin& bin : spread.bins) {
    json["histogram"].push_back({{"from", bin.from}, {"to", bin.to}, {"count", bin.count}});
  }
  return json;
}

Json findings_to_json(const DatasetCheck& check) {
  Json json = Json::object();
  for (size_t i = 0; i < kNumFindings; ++i) {
    const FindingKind& kind = finding_kind(static_cast<Finding>(i));
    Json entries = Json::array();
    for (const auto& [id, what] : check.findings[i])
      entries.push_back({{"id", id}, {"what", what}});
    json[kind.key] = {{"meaning", kind.meaning},
                      {"bad", kind.bad},
                      {"count", check.samples_with[i]},
                      {"entries", std::move(entries)}};
  }
  return json;
}

std::string time_span(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 120 * 60) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

std::string plural(size_t count, const char* name) {
  return fmt::format("{} {}{}", number(count), name, count == 1 ? "" : "s");
}

// At the end of a line, apart from what is before it.
std::string bar(int64_t part, int64_t longest) {
  if (part == 0) return "";
  const auto width = static_cast<size_t>(share(part, longest) * kBarWidth + 0.5);
  return "  " + std::string(std::max<size_t>(width, 1), '#');
}

std::string head(const DatasetCheck& check, double max_bad_fraction) {
  const double bad =
      share(static_cast<int64_t>(check.bad_samples), static_cast<int64_t>(check.samples));
  std::string text = plural(check.samples, "sample");
  text += check.bad_samples == 0
              ? ", all can be used\n"
              : fmt::format(": {} can be used, {} cannot ({}; a run stops above {})\n",
                            number(check.samples - check.bad_samples), number(check.bad_samples),
                            core::percent(bad), core::percent(max_bad_fraction));
  if (check.answers_lost > 0) {
    text += fmt::format("{} of {} answers are lost\n", number(check.answers_lost),
                        number(check.answers));
  }
  if (check.videos == 0) return text;
  text += fmt::format("{}: {}, {:.1f} samples each", plural(check.videos, "video"),
                      time_span(check.video_seconds),
                      static_cast<double>(check.samples) / static_cast<double>(check.videos));
  if (check.unreadable_videos > 0) {
    text += fmt::format("; {} cannot be read", number(check.unreadable_videos));
  }
  if (check.videos_in_training > 0) {
    text += fmt::format("; {} of them in data.train as well", number(check.videos_in_training));
  }
  return text + "\n";
}

FindingSummaries summarise_findings(const DatasetCheck& check) {
  FindingSummaries summaries;
  for (size_t i = 0; i < kNumFindings; ++i) {
    const std::vector<FindingEntry>& entries = check.findings[i];
    const auto shown =
        static_cast<std::ptrdiff_t>(std::min(FindingSummary::kShown, entries.size()));
    summaries[i] = {.samples = static_cast<int64_t>(check.samples_with[i]),
                    .entries = static_cast<int64_t>(entries.size()),
                    .first = {entries.begin(), entries.begin() + shown}};
  }
  return summaries;
}

std::string states_to_text(const DatasetCheck& check) {
  const int64_t all = std::accumulate(check.states.begin(), check.states.end(), int64_t{0}) +
                      check.turns_without_state;
  const int64_t most = *std::max_element(check.states.begin(), check.states.end());
  std::string text = fmt::format("\n{:<10} {:>13} {:>8}\n", "state", "turns", "share");
  const auto row = [&](std::string_view name, int64_t count) {
    text += fmt::format("{:<10} {:>13} {:>6.1f} %{}\n", name, number(count),
                        100 * share(count, all), bar(count, most));
  };
  for (size_t i = 0; i < check.states.size(); ++i) row(text::kStateNames[i], check.states[i]);
  if (check.turns_without_state > 0) row("none", check.turns_without_state);
  if (check.samples_without_response > 0) {
    text += fmt::format("{} never answer{}\n",
                        plural(static_cast<size_t>(check.samples_without_response), "sample"),
                        check.samples_without_response == 1 ? "s" : "");
  }
  return text;
}

std::string lengths_to_text(const DatasetCheck& check) {
  std::string text = fmt::format("\n{:<20} {:>8} {:>8} {:>8} {:>8} {:>8} {:>15}\n", "", "least",
                                 "median", "90 %", "99 %", "most", "all");
  const auto row = [&](const char* name, const std::vector<int64_t>& values) {
    if (values.empty()) return;
    const Distribution spread = Distribution::of(values);
    text += fmt::format("{:<20} {:>8} {:>8} {:>8} {:>8} {:>8} {:>15}\n", name, number(spread.min),
                        number(spread.median), number(spread.p90), number(spread.p99),
                        number(spread.max), number(spread.total));
  };
  row("turns of a sample", check.turns_of_sample);
  row("tokens of an item", check.tokens_of_item);
  row("tokens of a step", check.tokens_of_step);
  const int64_t tokens = sum(check.tokens_of_item);
  if (tokens > 0) {
    text += fmt::format("of the tokens {:.1f} % are visual, {:.2f} % are supervised\n",
                        100 * share(check.visual_tokens, tokens),
                        100 * share(check.supervised_tokens, tokens));
  }
  return text;
}

std::string histogram_to_text(const char* title, const std::vector<int64_t>& values) {
  const Distribution spread = Distribution::of(values);
  int64_t most = 0;
  for (const auto& bin : spread.bins) most = std::max(most, static_cast<int64_t>(bin.count));
  std::string text = fmt::format("\n{}\n", title);
  for (const auto& [from, to, count] : spread.bins) {
    const std::string bounds =
        from == to ? number(from) : fmt::format("{} to {}", number(from), number(to));
    text += fmt::format("{:>20} {:>9}{}\n", bounds, number(count),
                        bar(static_cast<int64_t>(count), most));
  }
  return text;
}

}  // namespace

Json to_json(const DatasetCheck& check) {
  const auto usable = check.samples - check.bad_samples;
  Json json = {{"files", check.files},
               {"samples", check.samples},
               {"usable", usable},
               {"bad", check.bad_samples},
               {"findings", findings_to_json(check)}};
  json["videos"] = {{"count", check.videos},
                    {"unreadable", check.unreadable_videos},
                    {"in_training", check.videos_in_training},
                    {"hours", check.video_seconds / 3600},
                    {"samples_per_video", share(static_cast<int64_t>(check.samples),
                                                static_cast<int64_t>(check.videos))}};
  const int64_t turns = sum(check.turns_of_sample);
  Json states = Json::object();
  for (size_t i = 0; i < check.states.size(); ++i) {
    states[std::string(text::kStateNames[i])] = {{"turns", check.states[i]},
                                                 {"share", share(check.states[i], turns)}};
  }
  json["states"] = std::move(states);
  json["turns_without_state"] = check.turns_without_state;
  json["samples_without_response"] = check.samples_without_response;
  json["answers"] = check.answers;
  json["answers_lost"] = check.answers_lost;
  json["turns"] = to_json(check.turns_of_sample);
  json["tokens"] = to_json(check.tokens_of_item);
  json["visual_tokens"] = check.visual_tokens;
  json["supervised_tokens"] = nullptr;
  json["steps"] = nullptr;
  if (!check.tokens_of_item.empty()) json["supervised_tokens"] = check.supervised_tokens;
  if (!check.tokens_of_step.empty()) {
    json["steps"] = {{"per_epoch", check.tokens_of_step.size()},
                     {"tokens", to_json(check.tokens_of_step)}};
  }
  return json;
}

std::string to_text(const DatasetCheck& check, double max_bad_fraction) {
  std::string text = fmt::format("{}\n", fmt::join(check.files, "\n"));
  text += head(check, max_bad_fraction);
  const FindingSummaries summaries = summarise_findings(check);
  text += to_text(summaries, /*bad=*/true, "cannot be used");
  text += to_text(summaries, /*bad=*/false, "used, but worth a look");
  if (check.bad_samples == check.samples) return text;
  text += states_to_text(check);
  text += lengths_to_text(check);
  text += check.tokens_of_item.empty()
              ? histogram_to_text("turns of a sample: how many samples", check.turns_of_sample)
              : histogram_to_text("tokens of an item: how many items", check.tokens_of_item);
  if (!check.tokens_of_step.empty()) {
    text += fmt::format("\nan epoch: {} in {}\n", plural(check.tokens_of_item.size(), "item"),
                        plural(check.tokens_of_step.size(), "step"));
  }
  return text;
}

}  // namespace streamo::data
