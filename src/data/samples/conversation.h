// From annotation to the interleaved conversation: one user turn and one state a second.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/formats/annotation.h"
#include "data/formats/user_turn.h"
#include "streamo/core/error.h"
#include "streamo/text/chat_format.h"
#include "streamo/text/special_tokens.h"

namespace streamo::data {

std::string default_system_prompt();
std::string default_question();

struct ConversationOptions {
  double fps = 1.0;
  std::string system_prompt = default_system_prompt();  // empty: no system message
  // Asked at turn 0 when the annotation has no question at all; empty: nothing is asked then.
  std::string default_question = data::default_question();
};

struct TurnLabel {
  text::State state = text::State::kSilence;
  std::string answer;  // of a response
};

// What the annotation said that the conversation cannot: each entry a readable line.
struct ConversionLosses {
  std::vector<std::string> overwritten_answers, out_of_range, unreadable_times, end_before_start;
  std::vector<std::string> truncated;  // rounds left out because more pictures were not wanted
  size_t total() const;
};

// The labels of turns 0..num_turns-1, by the rules of docs/data.md ("States"). A response that ends
// before it starts makes no standby turns, but its answer stands at its place.
std::vector<TurnLabel> label_turns(const Annotation& annotation, int64_t num_turns, double fps,
                                   ConversionLosses* losses);

// A conversation as the stream format stores it and as training reads it.
struct Conversation {
  std::vector<text::Message> messages;   // system, then user/assistant in turn
  std::string video_path;                // of `<stream>` placeholders
  std::vector<std::string> image_paths;  // of `<image>` placeholders, instead of a video
  std::string video_name, task_type, source;
};

int64_t num_placeholders(const Conversation& conversation);  // `<stream>` and `<image>`
// A Fault when the frames `of` a video or list differ from the placeholders by more than the one
// that can be put down to rounding of a duration.
std::optional<core::Fault> check_num_frames(const Conversation& conversation, int64_t frames,
                                            const std::string& of);

// The questions stand on the turns of their times (no time: turn 0), several on one turn one below
// the other in file order, equal ones once. The model must know from the start what to look for:
// when turn 0 has no question, it gets the first one too, which also stays on its own turn; or the
// default question when there is none at all. `losses` may be null.
Conversation build_conversation(const Annotation& annotation, int64_t num_turns,
                                const ConversationOptions& options, ConversionLosses* losses);

nlohmann::ordered_json to_stream_json(const Conversation& conversation);
// A Fault names the message or field. Accepts an optional system message, then user and assistant
// in turn (the last user may be without its assistant), placeholders in user messages only, of one
// kind, and the `videos` (one) or `images` they stand for. Paths stay as they are written.
core::Result<Conversation> parse_stream_json(const nlohmann::json& record);

}  // namespace streamo::data
