// StreamingBench (Lin et al., 2024; github.com/THUNLP-MT/StreamingBench). The prompts are the
// published ones word for word.
#include "eval/bench/streaming_bench.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "eval/bench/annotation.h"

namespace streamo::eval {
namespace {

using nlohmann::json;

constexpr double kPatience = 4;  // seconds that a proactive question is watched after it is due

// The first four: 13 published questions have more, as their commas were split, and the official
// prompt has room for four.
std::vector<std::string> answer_options(const json& question) {
  auto options = question.at("options").get<std::vector<std::string>>();
  if (options.size() < 4) throw std::runtime_error("fewer than four options");
  options.resize(4);
  if (options[0].starts_with("A.")) return options;
  for (size_t i = 0; i < options.size(); ++i) {
    options[i] = option_letter(static_cast<int64_t>(i)) + ". " + options[i];
  }
  return options;
}

std::string choice_prompt(const json& question, const std::vector<std::string>& options) {
  return fmt::format(
      "You are an advanced video question-answering AI assistant. You have been provided with some "
      "frames from the video and a multiple-choice question related to the video. Your task is to "
      "carefully analyze the video and provide the best answer to question, choosing from the four "
      "options provided. Respond with only the letter (A, B, C, or D) of the correct "
      "option.\n\nQuestion: {}\n\nOptions:\n{}\n\nThe best option is:",
      question.at("question").get<std::string>(), fmt::join(options, "\n"));
}

// The questions before, with their true answers, are told to the model.
std::string sequential_prompt(const json& question, const std::vector<std::string>& options,
                              std::string& context) {
  const auto text = question.at("question").get<std::string>();
  std::string prompt = fmt::format(
      "You are an advanced video question-answering AI assistant. You have been provided with a "
      "video and a multiple-choice question related to the video. Your task is to carefully "
      "analyze the video and the provided context to answer the question, choosing from the four "
      "options provided. Respond with only the letter (A, B, C, or D) of the correct "
      "option.\n\n{}\n\nHere is the question. Answer it and don't confuse it with the previous "
      "conversation.\nQuestion: {}\n\nOptions:\n{}\n\nThe best option is:",
      context, text, fmt::join(options, "\n"));
  if (context.empty()) {
    context =
        "Here are the contextual information related to the video. Please answer the questions "
        "based on the contextual information: ";
  }
  context += fmt::format(
      "At timestamp {}, the following question and answer occurred: Question: {}; Options: {}; "
      "Answer: {}; ",
      question.at("time_stamp").get<std::string>(), text, fmt::join(options, ", "),
      question.at("answer").get<std::string>());
  return prompt;
}

std::string proactive_prompt(const std::string& query) {
  return "You are an advanced image question-answering AI assistant. You have been provided with "
         "images and a question related to the images. Your task is to carefully analyze the "
         "images and provide the answer to the question. You need to carefully confirm whether the "
         "images content meet the conditions of the question, and then output the correct "
         "content.\n\nQuestion: " +
         query + "\n\nThe answer is:\n";
}

Episode proactive_play(const json& question, const std::string& protocol, Answer answer) {
  const auto text = question.at("question").get<std::string>();
  Episode play;
  play.asked = clock_seconds(question.at("time_stamp").get<std::string>());
  play.end = *answer.truth_second + kPatience;
  if (protocol == kStreamo) {
    play.kind = Episode::Kind::kWatchForAnswer;
    play.question = text;
    play.end += 1;  // the second of that time is seen
  } else {
    play.kind = Episode::Kind::kPoll;
    play.from = play.asked;
    play.question = proactive_prompt(text);
    play.poll_question = proactive_prompt(
        fmt::format("{} Is it the right time to output \"{}\"? You can only answer yes or no.",
                    text, answer.truth));
  }
  answer.question = text;
  play.answers = {std::move(answer)};
  return play;
}

Answer make_answer(const json& question, std::string id, const std::string& video) {
  Answer answer;
  answer.benchmark = kStreamingBench;
  answer.id = std::move(id);
  answer.task = question.at("task_type").get<std::string>();
  answer.video = video;
  if (question.contains("ground_truth_time_stamp")) {
    answer.truth = question.at("ground_truth_output").get<std::string>();
    answer.truth_second = clock_seconds(question.at("ground_truth_time_stamp").get<std::string>());
  } else {
    answer.truth = question.at("answer").get<std::string>();
  }
  return answer;
}

}  // namespace

void for_each_question(const std::filesystem::path& path, const json& entries,
                       const QuestionVisitor& visit) {
  size_t group = 0;
  for (const json& item : entries) {
    const bool sequential = item.is_array();  // the questions of one video
    const json subsets = sequential ? item : json::array({item});
    std::string context;
    size_t number = 0;
    read_entry(path, fmt::format("entry {}", group + 1), [&] {
      for (const json& subset : subsets) {
        const auto video = subset.at("video_path").get<std::string>();
        for (const json& question : subset.at("questions")) {
          const std::string id = fmt::format("{}/{}/{}", path.stem().string(), group, number++);
          visit(question, make_answer(question, id, video), sequential ? &context : nullptr);
        }
      }
    });
    ++group;
  }
}

std::vector<Episode> streaming_plays(const std::filesystem::path& path, const json& entries,
                                     const LoadOptions& options) {
  std::vector<Episode> plays;
  for_each_question(path, entries, [&](const json& question, Answer answer, std::string* dialogue) {
    answer.protocol = options.protocol;
    Episode play;
    const std::string video = answer.video, task = answer.task;
    if (answer.truth_second) {
      play = proactive_play(question, options.protocol, std::move(answer));
    } else {
      const std::vector<std::string> choices = answer_options(question);
      play.question = dialogue != nullptr ? sequential_prompt(question, choices, *dialogue)
                                          : choice_prompt(question, choices);
      play.end = clock_seconds(question.at("time_stamp").get<std::string>());
      play.from = options.context > 0 ? std::max(0.0, play.end - options.context) : 0.0;
      answer.question = play.question;
      play.answers = {std::move(answer)};
    }
    play.video = video;
    if (options.tasks.empty() || options.tasks.contains(task)) plays.push_back(std::move(play));
  });
  return plays;
}

}  // namespace streamo::eval
