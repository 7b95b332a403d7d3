// `streamo watch`: a trained model watches a video and says when it has something to say.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>

#include "app/command.h"
#include "app/number_option.h"
#include "app/watch/watch_feed.h"
#include "app/watch/watch_output.h"
#include "app/watch/watch_page.h"
#include "app/watch/watch_truth.h"
#include "core/io/file.h"
#include "core/json/dump_json.h"
#include "core/log.h"
#include "core/print.h"
#include "core/process/stop_signal.h"
#include "core/url.h"
#include "model/hf_directory.h"
#include "report/page.h"
#include "stream/source_options.h"
#include "streamo/core/error.h"
#include "streamo/stream/model_bundle.h"
#include "streamo/video/live_sampler.h"

namespace streamo::app {
namespace {

using core::ErrorKind;

struct Arguments {
  std::string model, video, annotations, html, behind = "queue", window;
  std::vector<std::string> questions;
  bool json = false, realtime = false, live = false;
  int64_t overlap = -1, sinks = -1, max_answer_tokens = 64;
  double temperature = 0, top_p = 1;
  uint64_t seed = 0;
  std::optional<float> response_threshold, standby_threshold;
};

// TEXT or TEXT@SECOND.
struct AskedQuestion {
  std::string text;
  double second = 0;
};

AskedQuestion parse_question(const std::string& argument) {
  const size_t at = argument.rfind('@');
  if (at == std::string::npos || at + 1 == argument.size()) return {argument};
  char* end = nullptr;
  const double second = std::strtod(argument.c_str() + at + 1, &end);
  const bool is_second = *end == '\0' && std::isfinite(second) && second >= 0;
  return is_second ? AskedQuestion{argument.substr(0, at), second} : AskedQuestion{argument};
}

// "120" rounds or "120s" seconds; 0: no limit.
int64_t parse_window(const std::string& argument, double fps) {
  char* end = nullptr;
  const double number = std::strtod(argument.c_str(), &end);
  const std::string_view unit = end;
  if (end == argument.c_str() || !(unit.empty() || unit == "s") || !(number >= 0 && number < 1e6)) {
    throw core::Error(ErrorKind::kUsage, fmt::format("{} is no length", argument), "--window",
                      "give rounds (120) or seconds (120s)");
  }
  return std::llround(unit == "s" ? number * fps : number);
}

data::ContextRule context_rule(const Arguments& arguments,
                               const stream::InferenceSettings& settings) {
  data::ContextRule rule = data::session_context(settings.context);
  if (!arguments.window.empty()) {
    const int64_t rounds = parse_window(arguments.window, settings.fps);
    rule = {.max_rounds = rounds, .overlap_rounds = rounds / 2, .sink_rounds = 0};
  }
  if (arguments.overlap >= 0) rule.overlap_rounds = arguments.overlap;
  if (arguments.sinks >= 0) rule.sink_rounds = arguments.sinks;
  data::check_context(rule, "--window, --overlap, --sinks");
  return rule;
}

stream::SessionOptions session_options(const Arguments& arguments,
                                       const stream::InferenceSettings& settings) {
  return {.max_answer_tokens = arguments.max_answer_tokens,
          .context = context_rule(arguments, settings),
          .fps = settings.fps,
          .sampling = {arguments.temperature, arguments.top_p, arguments.seed},
          .thresholds = {arguments.response_threshold, arguments.standby_threshold}};
}

[[noreturn]] void unreadable(const core::Fault& fault) {
  throw core::Error(ErrorKind::kData, fault.reason, "--video", "check it, or give another");
}

bool is_live(const Arguments& arguments) {
  return arguments.live || video::must_be_read_once(arguments.video);
}

WatchFeed::Source open_video(const Arguments& arguments, const video::SampleOptions& options) {
  if (is_live(arguments)) {
    auto opened = video::LiveSampler::open(arguments.video, options);
    if (!opened) unreadable(opened.fault());
    auto sampler = std::make_shared<video::LiveSampler>(*std::move(opened));
    return [sampler] { return sampler->next(); };
  }
  auto opened = video::FrameSampler::open(arguments.video, options);
  if (!opened) unreadable(opened.fault());
  auto sampler = std::make_shared<video::FrameSampler>(*std::move(opened));
  return [sampler] { return sampler->next(); };
}

// Everything that is shown of the seconds, in the ways asked for.
class Show {
 public:
  Show(const Arguments& arguments, std::filesystem::path html, double fps, const WatchTruth* truth)
      : arguments_(arguments), html_(std::move(html)), truth_(truth) {
    if (!html_.empty()) page_.emplace(core::redact_source(arguments.video), fps);
    if (!arguments.json && terminal_has_true_colour()) screen_.emplace();
  }

  void add(const WatchedSecond& second) {
    if (page_) page_->add(second, truth_ ? truth_->at(second.frame.index) : nullptr);
    if (arguments_.json) {
      core::print_result("{}\n", core::dump_json(to_json(second)));
    } else if (screen_) {
      screen_->show(second);
    } else {
      core::print_result("{}\n", to_line(second));
    }
    core::flush_results();
  }

  void finish(const std::string& summary) const {
    if (page_) core::write_file_atomic(html_, page_->html(summary));
    core::log_info("{}", summary);
  }

 private:
  const Arguments& arguments_;
  const std::filesystem::path html_;
  const WatchTruth* truth_;
  std::optional<WatchPage> page_;
  std::optional<WatchScreen> screen_;
};

struct Totals {
  int64_t seconds = 0, replies = 0;
  std::vector<double> latencies;
  bool told_behind = false;

  void count(const WatchedSecond& second, const Arguments& arguments, double fps) {
    ++seconds;
    if (second.round.state == text::State::kResponse) ++replies;
    latencies.push_back(second.latency);
    if (told_behind || (second.lag * fps <= 1 && second.dropped == 0)) return;
    told_behind = true;
    core::log_warning("{:.1f} s behind real time at second {:g}: frames are {} (--behind)",
                      second.lag, second.frame.time,
                      arguments.behind == "drop" ? "dropped" : "queued");
  }

  std::string summary(int64_t dropped, double last_lag, bool stopped) {
    std::sort(latencies.begin(), latencies.end());
    const auto at = [this](double share) {
      if (latencies.empty()) return 0.0;
      return 1000 *
             latencies[static_cast<size_t>(share * static_cast<double>(latencies.size() - 1))];
    };
    std::string text =
        fmt::format("{}{} turns watched, {} replies; {:.0f} ms a turn (median), {:.0f} ms (99 %)",
                    stopped ? "stopped: " : "", seconds, replies, at(0.5), at(0.99));
    if (dropped > 0) text += fmt::format("; {} frames dropped", dropped);
    if (last_lag > 1) text += fmt::format("; {:.1f} s behind at the end", last_lag);
    return text;
  }
};

// The questions of the command line, else of the annotations, else the model's default one.
std::vector<AskedQuestion> questions_to_ask(const Arguments& arguments,
                                            const stream::InferenceSettings& settings,
                                            const WatchTruth* truth) {
  std::vector<AskedQuestion> questions;
  for (const std::string& argument : arguments.questions) {
    questions.push_back(parse_question(argument));
    text::require_plain_text(questions.back().text, ErrorKind::kUsage, "--question");
  }
  if (questions.empty() && truth != nullptr) {
    for (const auto& [turn, text] : truth->questions())
      questions.push_back({text, static_cast<double>(turn) / settings.fps});
  }
  if (questions.empty()) questions.push_back({settings.default_question});
  return questions;
}

stream::InferenceSettings load_settings(const Arguments& arguments) {
  model::require_model_directory(arguments.model,
                                 "give a trained model's directory, such as runs/example/final");
  return stream::InferenceSettings::read(arguments.model);
}

void watch(stream::Session& session, WatchFeed& feed, std::vector<AskedQuestion> questions,
           const Arguments& arguments, double fps, Show& show) {
  core::set_stop_rule({.in_order = true,
                       .said = "finishing this second",
                       .grace = std::chrono::milliseconds(1500)});
  Totals totals;
  int64_t dropped = 0;
  for (const AskedQuestion& question : questions) session.ask(question.text, question.second);
  for (;;) {
    const auto frame = feed.next(core::stop_requested);
    if (!frame) unreadable(frame.fault());
    if (!*frame) break;
    const double start = core::monotonic_seconds();
    WatchedSecond second{.frame = **frame, .round = {}, .questions = {}};
    second.round = session.push(**frame);
    second.latency = core::monotonic_seconds() - start;
    second.lag = feed.lag();
    second.dropped = feed.dropped() - std::exchange(dropped, feed.dropped());
    std::erase_if(questions, [&](const AskedQuestion& question) {
      if (question.second > static_cast<double>((*frame)->index) / fps) return false;
      second.questions.push_back(question.text);
      return true;
    });
    totals.count(second, arguments, fps);
    show.add(second);
  }
  show.finish(totals.summary(dropped, feed.lag(), core::stop_requested()));
}

void run(const Arguments& arguments) {
  std::filesystem::path html;
  if (!arguments.html.empty()) {
    html = core::output_file(arguments.html, {arguments.video, arguments.annotations},
                             report::is_our_page());
  }
  const stream::InferenceSettings settings = load_settings(arguments);
  const video::SampleOptions options = settings.sample_options(arguments.model);
  const stream::SessionOptions session_settings = session_options(arguments, settings);
  std::optional<WatchTruth> truth;
  if (!arguments.annotations.empty()) {
    truth.emplace(data::SampleSource({arguments.annotations},
                                     stream::source_options(settings, *options.pixel_limits)),
                  arguments.video,
                  arguments.questions.empty() ? "" : parse_question(arguments.questions[0]).text);
  }
  const WatchTruth* known = truth ? &*truth : nullptr;
  const std::vector<AskedQuestion> questions = questions_to_ask(arguments, settings, known);
  const auto bundle = stream::ModelBundle::open(arguments.model, settings);
  stream::Session session(*bundle.model, bundle.format, session_settings);
  session.begin(settings.system_prompt);
  WatchFeed feed(open_video(arguments, options),
                 {.fps = settings.fps,
                  .realtime = arguments.realtime,
                  .behind = arguments.behind == "drop" ? Behind::kDrop : Behind::kQueue,
                  .live = is_live(arguments)});
  Show show(arguments, html, settings.fps, known);
  watch(session, feed, questions, arguments, settings.fps, show);
}

}  // namespace

void add_watch_command(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "watch", "A trained model watches a video, stream or camera: when it speaks, and what");
  command->add_option("--model", arguments->model, "Model directory")->required();
  command
      ->add_option("--video", arguments->video,
                   "File, URL of any kind that FFmpeg reads, or - for standard input (any "
                   "container: for a camera, pipe ffmpeg into it)")
      ->required();
  command->add_option("--question", arguments->questions,
                      "TEXT, or TEXT@SECOND to ask it then; may be given several times (default: "
                      "those of --annotations, else the model's own)");
  command->add_option("--annotations", arguments->annotations,
                      "Annotation file: its truth for this video stands beside what the model did");
  command->add_flag("--json", arguments->json, "One JSON line a turn");
  command->add_option(
      "--html", arguments->html,
      std::string("Also write a page of frames, states and replies") + core::kReplaced);
  command->add_flag("--realtime", arguments->realtime, "One second a second, not at full speed");
  command
      ->add_option("--behind", arguments->behind,
                   "In real time, when the model is too slow: drop frames, or queue them")
      ->check(CLI::IsMember({"drop", "queue"}))
      ->capture_default_str();
  command->add_flag("--live", arguments->live, "Read a file or URL once only, as it comes");
  command->add_option("--window", arguments->window,
                      "Context in rounds (120) or seconds (120s); 0: all (default: as trained, "
                      "else 120 rounds)");
  command
      ->add_option("--overlap", arguments->overlap,
                   "Rounds that a new window begins with (default: half of --window)")
      ->transform(whole_number(0, 1 << 20));
  command->add_option("--sinks", arguments->sinks, "First rounds that every window keeps")
      ->transform(whole_number(0, 1 << 20));
  command->add_option("--max-answer-tokens", arguments->max_answer_tokens, "Tokens of a reply")
      ->transform(whole_number(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--temperature", arguments->temperature, "Of a reply's tokens; 0: greedy")
      ->transform(number(0, 100))
      ->capture_default_str();
  command->add_option("--top-p", arguments->top_p, "Nucleus of a sampled reply")
      ->transform(number(0, 1))
      ->capture_default_str();
  command->add_option("--seed", arguments->seed, "Of sampled replies")
      ->transform(whole_number(0, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
  command
      ->add_option("--response-threshold", arguments->response_threshold,
                   "Speak from this probability on (default: when it is the largest)")
      ->transform(number(0, 1));
  command
      ->add_option("--standby-threshold", arguments->standby_threshold,
                   "Likewise of standby against silence")
      ->transform(number(0, 1));
  command->callback([arguments] { run(*arguments); });
}

}  // namespace streamo::app
