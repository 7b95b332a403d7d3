// Benchmarks in their published formats: what is played to a model, what counts as its answer, and
// how results of others are read. Free of LibTorch; benchmark_runner.h plays, benchmark_score.h
// scores.
//
// Protocols are never mixed, as they ask different things:
//   official  the benchmark's own: the video is cut at the question and must be answered there;
//   streamo   one watch of the stream: the model itself decides when to answer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "streamo/text/special_tokens.h"

namespace streamo::eval {

inline constexpr const char* kOvoBench = "ovo-bench";
inline constexpr const char* kStreamingBench = "streaming-bench";
inline constexpr const char* kOfficial = "official";
inline constexpr const char* kStreamo = "streamo";

// One scored point. A line of an answer file is this as JSON, with these names.
struct Answer {
  std::string benchmark, protocol, task, video;
  std::string id;        // unique within benchmark and protocol: "12"; "1468/0" of several points
  std::string question;  // as it was put to the model; for judges
  std::string truth;     // a letter, a number, Yes/No, or the text wanted
  std::optional<std::string> response;  // none: it did not answer
  // Of proactive questions: when the answer was due, and when it came.
  std::optional<double> truth_second, second;
};

// Answers of one benchmark and protocol are told apart by their id.
std::string answer_key(const Answer& answer);

nlohmann::ordered_json to_json(const Answer& answer);

// What the model did in one turn, from the question on.
struct BenchmarkRound {
  double second = 0;  // of the video, at which the turn begins
  text::State state = text::State::kSilence;
  std::string answer;
};

// One watch of a video, and the answers that come of it.
struct Episode {
  enum class Kind {
    kAnswerAtEnd,     // cut at the end, where the question is asked and answered
    kWatch,           // asked within, and played on to the end
    kWatchForAnswer,  // the same, to the first response
    kPoll,            // StreamingBench's proactive protocol, see benchmark_runner.h
  };
  Kind kind = Kind::kAnswerAtEnd;
  std::string video;         // as the annotation has it
  double from = 0, end = 0;  // seconds of the video that are played, samples at from <= t < end
  double asked = 0;          // second of the question (kWatch); of kAnswerAtEnd it is the last turn
  std::string question;
  std::string poll_question;    // of kPoll: asked each second, until "yes"
  std::vector<Answer> answers;  // without response
};

struct LoadOptions {
  std::string protocol = kOfficial;
  std::set<std::string> tasks;  // only those; empty: all
  // Seconds of video before a question that are played; 0: all of it. Of what is cut at its
  // question; a watch of the stream always begins at its start.
  double context = 0;
};

// Plays of an annotation file, whose benchmark is told by its content. Throws core::Error{kData}
// naming file and entry for what is not in the published format, kUsage when it has none of
// `tasks`.
//   OVO-Bench: data/ovo_bench_new.json. official: each point is cut at its `realtime`. streamo: as
//   the Streamo authors' script; the ASI question, there at a random second, comes at `realtime`.
//   StreamingBench: questions_{real,omni,sqa,proactive}.json. official: cut at the question; a
//   proactive one is polled each second from its time on. streamo: proactive questions are asked
//   at their time and watched to 4 s after they are due; the others as official.
std::vector<Episode> load_benchmark(const std::filesystem::path& annotation,
                                    const LoadOptions& options);

// Fills in the responses of `play` from the rounds of a watch, in order.
void settle(Episode& play, const std::vector<BenchmarkRound>& rounds);

// Result files, told by their content:
//   our answer files (JSON Lines with `benchmark`);
//   OVO-Bench's {backward, realtime, forward}, official protocol;
//   the lines of Streamo's OVO-Bench script {id, task, gt, output {"Round 0": ..}};
//   StreamingBench's annotation with each question's answer under the model's name, which `name`
//   gives where there are several; official protocol.
// A last line that a killed run left incomplete is passed over with a warning. Throws
// core::Error{kData} naming file and entry.
std::vector<Answer> read_answers(const std::filesystem::path& path, const std::string& name = "");

}  // namespace streamo::eval
