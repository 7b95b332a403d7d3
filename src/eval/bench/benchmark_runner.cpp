// Groups the questions by video, so that each is decoded once, and runs the three protocols: ask at
// the end, poll every turn, watch until the model answers.
#include "eval/benchmark_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <mutex>
#include <optional>
#include <span>

#include "data/samples/conversation.h"
#include "eval/bench/answer_log.h"
#include "eval/bench/silent_watch.h"
#include "eval/run_concurrently.h"
#include "streamo/core/error.h"
#include "streamo/stream/session.h"

namespace streamo::eval {
namespace {

using Frames = std::span<const video::Frame>;

// The plays of one video.
struct VideoGroup {
  std::string video;
  std::vector<Episode> plays;
};

int64_t num_points(const Episode& play) {
  return static_cast<int64_t>(play.answers.size());
}

// Pictures at from <= t < end; at least one, however short the stretch.
Frames cut(Frames frames, double from, double end) {
  const auto before = [](const video::Frame& frame, double second) { return frame.time < second; };
  const auto first =
      std::min(std::lower_bound(frames.begin(), frames.end(), from, before), frames.end() - 1);
  const auto last = std::lower_bound(first, frames.end(), end, before);
  return {first, std::max(last, first + 1)};
}

// Why `play` is none of this video, if so. Benchmarks give times to the second or finer.
std::optional<std::string> misfit(const Episode& play, Frames frames, double fps) {
  constexpr double kSlack = 2;  // seconds that a question may lie behind the last picture
  const double length = static_cast<double>(frames.size()) / fps;
  const double asked = play.kind == Episode::Kind::kAnswerAtEnd ? play.end : play.asked;
  if (asked <= length + kSlack) return std::nullopt;
  return fmt::format("{} lasts {:.1f} s, and is asked about at {:.1f} s", play.video, length,
                     asked);
}

class Player {
 public:
  Player(model::VisionLanguageModel& model, const text::ChatFormat& format,
         const BenchmarkOptions& options)
      : model_(model), format_(format), options_(options) {}

  // All plays of a reel, in groups that share a watch; `done` gets each with its answers.
  void play(const VideoGroup& video_group, Frames frames,
            const std::function<void(Episode)>& done) const {
    std::map<double, std::vector<Episode>> cuts;  // by their begin
    for (const Episode& play : video_group.plays) {
      if (play.kind == Episode::Kind::kAnswerAtEnd) {
        cuts[play.from].push_back(play);
      } else if (play.kind == Episode::Kind::kPoll) {
        done(poll(play, frames));
      } else {
        done(watch(play, frames));
      }
    }
    for (auto& [from, plays] : cuts) ask_on_the_way(frames, std::move(plays), done);
  }

 private:
  SilentWatch silent_watch() const {
    return {model_, format_, options_.system_prompt, options_.video.fps};
  }

  void ask_on_the_way(Frames frames, std::vector<Episode> plays,
                      const std::function<void(Episode)>& done) const {
    std::stable_sort(plays.begin(), plays.end(),
                     [](const Episode& a, const Episode& b) { return a.end < b.end; });
    SilentWatch watch = silent_watch();
    size_t watched = 0;
    for (Episode& play : plays) {
      const Frames shown = cut(frames, play.from, play.end);
      for (; watched + 1 < shown.size(); ++watched) watch.watch(shown[watched]);
      play.answers[0].response = watch.ask(play.question, shown.back(), options_.max_answer_tokens);
      done(std::move(play));
    }
  }

  Episode poll(Episode play, Frames frames) const {
    const Frames shown = cut(frames, play.from, play.end);
    SilentWatch watch = silent_watch();
    for (size_t i = 0; i < shown.size(); ++i) {
      std::string said = watch.ask(play.poll_question, shown[i], options_.max_answer_tokens);
      std::transform(said.begin(), said.end(), said.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (said.find("yes") != std::string::npos) {
        Answer& answer = play.answers[0];
        answer.response = watch.ask(play.question, shown[i], options_.max_answer_tokens);
        answer.second = play.from + static_cast<double>(i + 1) / options_.video.fps;
        break;
      }
      watch.watch(shown[i]);
    }
    return play;
  }

  // Before the question the model is made to be silent, as the Streamo authors' script does it.
  Episode watch(Episode play, Frames frames) const {
    const double fps = options_.video.fps;
    const Frames shown = cut(frames, 0, play.end);
    const size_t asked =
        std::min(static_cast<size_t>(std::floor(play.asked * fps)), shown.size() - 1);
    stream::Session session(model_, format_, {.max_answer_tokens = options_.max_answer_tokens});
    session.begin(options_.system_prompt);
    const std::string silence(text::state_token(text::State::kSilence));
    std::vector<BenchmarkRound> rounds;
    for (size_t i = 0; i < shown.size(); ++i) {
      const std::string turn =
          data::user_content(i == asked ? play.question : "", static_cast<int64_t>(i), fps);
      const auto forced = i < asked ? std::optional(silence) : std::nullopt;
      stream::Round round = session.step(turn, shown.subspan(i, 1), forced);
      if (forced) continue;
      rounds.push_back({static_cast<double>(i) / fps, round.state, std::move(round.answer)});
      const bool over = play.kind == Episode::Kind::kWatchForAnswer &&
                        rounds.back().state == text::State::kResponse;
      if (over) break;
    }
    settle(play, rounds);
    return play;
  }

  model::VisionLanguageModel& model_;
  const text::ChatFormat& format_;
  const BenchmarkOptions& options_;
};

// Pictures of a video up to the last one that any play wants.
core::Result<std::vector<video::Frame>> decode(const std::filesystem::path& path,
                                               const VideoGroup& video_group,
                                               const BenchmarkOptions& options) {
  if (options.frame_cache) return options.frame_cache->sample_video(path, options.video);
  double end = 0;
  for (const Episode& play : video_group.plays) end = std::max(end, play.end);
  const bool whole = std::isinf(end);
  return video::sample_video(path, options.video,
                             whole ? -1 : static_cast<int64_t>(std::ceil(end * options.video.fps)));
}

// What is not answered yet, by video in the order of the annotation.
std::vector<VideoGroup> group_unanswered(std::vector<Episode> plays, const AnswerLog& log,
                                         BenchmarkRun& run) {
  std::vector<VideoGroup> video_groups;
  std::map<std::string, size_t> place;
  for (Episode& play : plays) {
    run.points += num_points(play);
    if (std::all_of(play.answers.begin(), play.answers.end(),
                    [&](const Answer& answer) { return log.has(answer); })) {
      run.answered_before += num_points(play);
      continue;
    }
    const auto [found, added] = place.try_emplace(play.video, video_groups.size());
    if (added) video_groups.push_back({play.video, {}});
    video_groups[found->second].plays.push_back(std::move(play));
  }
  return video_groups;
}

// What happens to the points, from many threads.
class Ledger {
 public:
  Ledger(AnswerLog& log, BenchmarkRun& run, const BenchmarkOptions& options)
      : log_(log), run_(run), options_(options), done_(run.answered_before) {}

  void keep(const Episode& play) {
    const std::lock_guard lock(mutex_);
    for (const Answer& answer : play.answers) {
      if (!log_.has(answer)) log_.append(answer);
    }
    advance(num_points(play));
  }

  void give_up(const std::string& video, const std::string& reason, int64_t points) {
    const std::lock_guard lock(mutex_);
    run_.unplayed.push_back({video, reason, points});
    advance(points);
  }

 private:
  void advance(int64_t points) {
    done_ += points;
    if (options_.progress) options_.progress(done_, run_.points);
  }

  std::mutex mutex_;
  AnswerLog& log_;
  BenchmarkRun& run_;
  const BenchmarkOptions& options_;
  int64_t done_;
};

void run_video_group(const VideoGroup& video_group, const Player& player,
                     const data::VideoRoot& videos, const BenchmarkOptions& options,
                     Ledger& ledger) {
  const core::Result<std::filesystem::path> path = videos.locate(video_group.video);
  const auto frames = path ? decode(*path, video_group, options)
                           : core::Result<std::vector<video::Frame>>(path.fault());
  VideoGroup fitting{video_group.video, {}};
  std::string reason;  // the first one
  int64_t lost = 0;
  for (const Episode& play : video_group.plays) {
    const auto trouble =
        frames ? misfit(play, *frames, options.video.fps) : std::optional(frames.reason());
    if (!trouble) {
      fitting.plays.push_back(play);
      continue;
    }
    if (lost == 0) reason = *trouble;
    lost += num_points(play);
  }
  if (lost > 0) ledger.give_up(video_group.video, reason, lost);
  if (frames) player.play(fitting, *frames, [&](const Episode& play) { ledger.keep(play); });
}

}  // namespace

BenchmarkRun run_benchmark(model::VisionLanguageModel& model, const text::ChatFormat& format,
                           std::vector<Episode> plays, const data::VideoRoot& videos,
                           const std::filesystem::path& answers, const BenchmarkOptions& options) {
  BenchmarkRun run;
  AnswerLog log(answers, options.model_name, options.context);
  const std::vector<VideoGroup> video_groups = group_unanswered(std::move(plays), log, run);
  const Player player(model, format, options);
  Ledger ledger(log, run, options);
  run_concurrently(video_groups.size(), options.num_threads, [&](size_t i) {
    run_video_group(video_groups[i], player, videos, options, ledger);
  });
  std::stable_sort(run.unplayed.begin(), run.unplayed.end(),
                   [](const auto& a, const auto& b) { return a.video < b.video; });
  int64_t lost = 0;
  for (const UnplayedVideo& video : run.unplayed) lost += video.points;
  if (lost > 0 && lost == run.points) {
    throw core::Error(core::ErrorKind::kData,
                      "none of the videos can be played: " + run.unplayed[0].reason, "--videos",
                      "give the folder of the videos as --videos");
  }
  return run;
}

}  // namespace streamo::eval
