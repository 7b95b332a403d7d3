// OVO-Bench (Li et al., CVPR 2025; github.com/JoeLeelyf/OVO-Bench). The prompts are the published
// ones word for word, mistakes included: other words are another benchmark.
#include "eval/bench/ovo_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "eval/bench/annotation.h"

namespace streamo::eval {
namespace {

using nlohmann::json;

std::string answer_options(const json& entry, const char* between) {
  std::string text;
  int64_t index = 0;
  for (const json& option : entry.at("options")) {
    if (!text.empty()) text += between;
    text += option_letter(index++) + ". " + option.get<std::string>();
  }
  return text;
}

std::string official_choice_prompt(const json& entry) {
  return fmt::format(
      "\nQuestion: {}\nOptions:\n{};\n\nRespond only with the letter corresponding to your chosen "
      "option (e.g., A, B, C). \nDo not include any additional text or explanation in your "
      "response.\n",
      entry.at("question").get<std::string>(), answer_options(entry, "; "));
}

std::string official_forward_prompt(const json& entry, const json& point) {
  const auto task = entry.at("task").get<std::string>();
  if (task == "REC") {
    return fmt::format(
        "\nYou're watching a video in which people may perform a certain type of action "
        "repetively. \nThe person performing this kind of action are referred to as 'they' in the "
        "following statement.\nYou're task is to count how many times have different people in the "
        "video perform this kind of action in total.\nOne complete motion counts as one. \nNow, "
        "answer the following question: How many times did they {}?\nProvide your answer as a "
        "single number (e.g., 0, 1, 2, 3\u2026) indicating the total count.\nDo not include any "
        "additional text or explanation in your response.\n",
        entry.at("activity").get<std::string>());
  }
  if (task == "SSR") {
    return fmt::format(
        "\nYou're watching a tutorial video which contain a sequential of steps. \nThe following "
        "is one step from the whole procedures: \n{}\nYour task is to determine if the man or "
        "woman in the video is currently performing this step.\nAnswer only with \u201cYes\u201d "
        "or \u201cNo\u201d.\nDo not include any additional text or explanation in your "
        "response.\n",
        point.at("step").get<std::string>());
  }
  return fmt::format(
      "\nYou're responsible of answering questions based on the video content. \nThe following "
      "question are relevant to the latest frames, i.e. the end of the video.\n{}\nDecide whether "
      "existing visual content, especially latest frames, i.e. frames that near the end of the "
      "video, provide enough information for answering the question.\nAnswer only with "
      "\u201cYes\u201d or \u201cNo\u201d.\nDo not include any additional text or explanation in "
      "your response.\n",
      entry.at("question").get<std::string>());
}

Answer make_answer(const json& entry, const std::string& protocol) {
  Answer answer;
  answer.benchmark = kOvoBench;
  answer.protocol = protocol;
  answer.task = entry.at("task").get<std::string>();
  answer.video = entry.at("video").get<std::string>();
  answer.id = id_text(entry.at("id"));
  return answer;
}

void add_official(const json& entry, double context, std::vector<Episode>& plays) {
  const auto add = [&](const Answer& answer, double end) {
    Episode play;
    play.video = answer.video;
    play.end = end;
    play.from = context > 0 ? std::max(0.0, end - context) : 0.0;
    play.question = answer.question;
    play.answers = {answer};
    plays.push_back(std::move(play));
  };
  Answer answer = make_answer(entry, kOfficial);
  if (!is_forward_task(answer.task)) {
    answer.question = official_choice_prompt(entry);
    answer.truth = option_letter(entry.at("gt").get<int64_t>());
    add(answer, entry.at("realtime").get<double>());
    return;
  }
  const std::string id = answer.id;
  int64_t index = 0;
  for (const json& point : entry.at("test_info")) {
    answer.id = fmt::format("{}/{}", id, index++);
    answer.question = official_forward_prompt(entry, point);
    answer.truth = forward_truth(answer.task, point);
    add(answer, point.at("realtime").get<double>());
  }
}

// Seconds that are watched after the last test point: its own second.
constexpr double kLastSecond = 1;

void add_streamo_forward(const json& entry, Episode play, const std::string& step,
                         std::vector<Episode>& plays) {
  Answer answer = make_answer(entry, kStreamo);
  const std::string id = answer.id;
  answer.question = play.question;
  int64_t index = 0;
  for (const json& point : entry.at("test_info")) {
    answer.id = fmt::format("{}/{}", id, index++);
    if (!step.empty() && point.at("step") != step) continue;
    answer.truth = forward_truth(answer.task, point);
    answer.truth_second = std::floor(point.at("realtime").get<double>());
    play.end = std::max(play.end, *answer.truth_second + kLastSecond);
    play.answers.push_back(answer);
  }
  if (!play.answers.empty()) plays.push_back(std::move(play));
}

void add_streamo(const json& entry, std::vector<Episode>& plays) {
  Answer answer = make_answer(entry, kStreamo);
  Episode play;
  play.video = answer.video;
  play.kind = Episode::Kind::kWatchForAnswer;
  if (answer.task == "CRR") {
    play.question = entry.at("question").get<std::string>();
    play.asked = entry.at("ask_time").get<double>();
    return add_streamo_forward(entry, play, "", plays);
  }
  if (answer.task == "REC") {
    std::string options;
    for (int64_t count = 1; count <= 10; ++count) {
      options += fmt::format("{}{}. {}", count > 1 ? "\n" : "", option_letter(count - 1), count);
    }
    play.kind = Episode::Kind::kWatch;
    play.question = fmt::format(
        "How many times did activity '{}' occur?\n{}. Please respond with only the letter of the "
        "correct answer. Update your answer if it becomes different at a later time.",
        entry.at("activity").get<std::string>(), options);
    play.asked = std::max(0.0, entry.at("start_times").at(0).get<double>() - 3);
    return add_streamo_forward(entry, play, "", plays);
  }
  if (answer.task == "SSR") {
    for (size_t i = 0; i < entry.at("all_steps").size(); ++i) {
      const auto step = entry.at("all_steps").at(i).get<std::string>();
      play.question = fmt::format(
          "Watch the following video and temporally localize the event. Respond once it has "
          "finished and summarize its time period. The given event is:\n'{}'",
          step);
      play.asked = entry.at("start_time").at(i).get<double>();
      add_streamo_forward(entry, play, step, plays);
    }
    return;
  }
  answer.truth = option_letter(entry.at("gt").get<int64_t>());
  play.question = fmt::format(
      "{}\n{}\nPlease provide your answer by stating the letter followed by the full "
      "option.",
      entry.at("question").get<std::string>(), answer_options(entry, "\n"));
  play.asked = std::floor(entry.at("realtime").get<double>());
  play.end = std::numeric_limits<double>::infinity();  // the script plays on until it answers
  answer.question = play.question;
  play.answers = {answer};
  plays.push_back(std::move(play));
}

}  // namespace

bool is_forward_task(const std::string& task) {
  return task == "REC" || task == "SSR" || task == "CRR";
}

std::string forward_truth(const std::string& task, const json& point) {
  if (task == "REC") return point.at("count").dump();
  return point.at("type").get<int64_t>() == 0 ? "No" : "Yes";
}

void add_ovo_plays(const json& entry, const LoadOptions& options, std::vector<Episode>& plays) {
  const auto task = entry.at("task").get<std::string>();
  if (!options.tasks.empty() && !options.tasks.contains(task)) return;
  if (options.protocol == kOfficial) {
    add_official(entry, options.context, plays);
  } else {
    add_streamo(entry, plays);
  }
}

}  // namespace streamo::eval
