// Takes a sample through the steps the loader will take (read, probe, convert, count tokens) and
// stops at the first one that would fail in training.
#include "data/check/sample_examination.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/io/file.h"
#include "data/check/video_findings.h"
#include "data/samples/training_example.h"

namespace streamo::data {
namespace {

using core::Fault;
using core::Result;

int64_t num_answers(const Annotation& annotation) {
  return std::count_if(annotation.responses.begin(), annotation.responses.end(),
                       [](const Response& response) { return !response.content.empty(); });
}

int64_t num_responses(const Conversation& conversation) {
  return std::count_if(conversation.messages.begin(), conversation.messages.end(),
                       [](const text::Message& message) {
                         return message.role == "assistant" &&
                                text::leading_state(message.content) == text::State::kResponse;
                       });
}

bool loses_answers(Finding finding, const std::string& what) {
  return what.starts_with("response") &&
         (finding == Finding::kOutOfRange || finding == Finding::kUnreadableTime ||
          finding == Finding::kOverwrittenAnswer);
}

class Examiner {
 public:
  Examiner(const SampleSource& source, size_t index, const CheckOptions& options)
      : source_(source), index_(index), options_(options) {
    result_.id = source.id(index);
  }

  // The steps of SampleSource::conversation and build_index, and what stops each.
  Examination run() {
    Result<Record> record = source_.record(index_);
    if (!record) return bad(Finding::kRecord, record.reason());
    if (const auto fault = source_.resolve_paths(*record))
      return bad(Finding::kPath, fault->reason);
    if (const auto fault = look_at_video(*record)) return bad(Finding::kVideo, fault->reason);
    Result<Conversation> conversation = convert(*std::move(record));
    if (!conversation) return bad(Finding::kFrames, conversation.reason());
    if (num_rounds(*conversation) == 0) {
      return bad(Finding::kUnsupervised, "no user turn with an answer");
    }
    auto pictures = count_picture_tokens(*conversation, options_.index.token_side, source_);
    if (!pictures) return bad(Finding::kPicture, pictures.reason());
    if (const auto reason = measure(*conversation, *std::move(pictures))) {
      return bad(Finding::kTooLong, *reason);
    }
    if (options_.for_training && result_.answers > 0 && result_.answers_lost == result_.answers) {
      return bad(Finding::kAnswersLost, why_answers_are_lost());
    }
    count_states(*conversation);
    hash(*conversation);
    return std::move(result_);
  }

 private:
  Examination bad(Finding finding, const std::string& reason) {
    result_.bad = true;
    if (finding != Finding::kAnswersLost) result_.findings.clear();
    result_.items.clear();
    result_.findings.emplace(result_.findings.begin(), finding, reason);
    return std::move(result_);
  }

  std::string why_answers_are_lost() const {
    return (result_.answers == 1
                ? "its answer is lost: "
                : fmt::format("all of its {} answers are lost: ", result_.answers)) +
           first_loss_;
  }

  double fps() const { return source_.options().conversation.fps; }

  std::optional<Fault> look_at_video(const Record& record) {
    const auto* annotation = std::get_if<Annotation>(&record.content);
    result_.video_path = annotation != nullptr ? annotation->video_path
                                               : std::get<Conversation>(record.content).video_path;
    if (result_.video_path.empty()) return std::nullopt;  // pictures
    const Result<video::VideoInfo> info = source_.video_info(result_.video_path);
    if (!info) return info.fault();
    result_.video = *info;
    find_video_problems(*info, fps(), result_.video_findings);
    for (auto& [finding, what] : result_.video_findings) what = result_.video_path + ": " + what;
    return std::nullopt;
  }

  Result<Conversation> convert(Record record) {
    ConversionLosses losses;
    if (const auto* annotation = std::get_if<Annotation>(&record.content)) {
      find_label_problems(*annotation, result_.video->num_samples, fps(), result_.findings);
      result_.answers = num_answers(*annotation);
      Result<Conversation> conversation = source_.to_conversation(std::move(record), &losses);
      list_losses(losses, result_.findings);
      if (!conversation) return conversation;
      result_.answers_lost = result_.answers - num_responses(*conversation);
      const auto loss =
          std::find_if(result_.findings.begin(), result_.findings.end(),
                       [](const auto& found) { return loses_answers(found.first, found.second); });
      if (loss != result_.findings.end()) first_loss_ = loss->second;
      return conversation;
    }
    Result<Conversation> conversation = source_.to_conversation(std::move(record), nullptr);
    if (!conversation) return conversation;
    find_label_problems(*conversation, result_.findings);
    const int64_t pictures = result_.video ? result_.video->num_samples
                                           : static_cast<int64_t>(conversation->image_paths.size());
    const int64_t wanted = num_placeholders(*conversation);
    if (pictures != wanted) {
      result_.findings.emplace_back(
          Finding::kMendedFrames,
          fmt::format("{} pictures for {} placeholders: the last is {}", pictures, wanted,
                      pictures < wanted ? "repeated" : "dropped"));
    }
    return conversation;
  }

  // Items and tokens; why there are none.
  std::optional<std::string> measure(const Conversation& conversation,
                                     std::vector<int64_t> picture_tokens) {
    const int64_t rounds = num_rounds(conversation);
    if (options_.chat == nullptr) {
      result_.visual_tokens =
          std::accumulate(picture_tokens.begin(), picture_tokens.end(), int64_t{0});
      result_.turns = rounds;
      return std::nullopt;
    }
    SampleItems found =
        split_into_items(conversation, picture_tokens, index_, *options_.chat, options_.index);
    result_.overlong = found.overlong;
    if (found.reason) return found.reason;
    for (const Item& item : found.items) {
      const auto tokens_of_rounds = [&](int64_t first, int64_t end) {
        const auto pictures = picture_tokens.begin();
        return std::accumulate(pictures + placeholders_before(conversation, first),
                               pictures + placeholders_before(conversation, end), int64_t{0});
      };
      result_.visual_tokens += tokens_of_rounds(0, item.sink_rounds);
      result_.visual_tokens +=
          tokens_of_rounds(item.first_round, item.first_round + item.num_rounds);
      result_.turns += item.num_rounds - item.seen_rounds;
    }
    if (found.overlong && options_.index.overlong == Overlong::kTruncate) {
      result_.findings.emplace_back(
          Finding::kTruncated, fmt::format("{} of {} turns are within {} tokens", result_.turns,
                                           rounds, options_.index.max_length));
    } else if (found.overlong) {
      result_.findings.emplace_back(Finding::kSplit,
                                    fmt::format("{} windows of at most {}", found.items.size(),
                                                window_limits(options_.index)));
    }
    result_.items = std::move(found.items);
    return std::nullopt;
  }

  void count_states(const Conversation& conversation) {
    int64_t left = result_.turns;
    for (const text::Message& message : conversation.messages) {
      if (message.role != "assistant" || left-- <= 0) continue;
      const auto state = text::leading_state(message.content);
      ++(state ? result_.states[static_cast<size_t>(*state)] : result_.turns_without_state);
    }
  }

  void hash(const Conversation& conversation) {
    std::string asked = conversation.video_path, answered;
    for (const std::string& image : conversation.image_paths) asked += '\0' + image;
    for (const text::Message& message : conversation.messages) {
      (message.role == "assistant" ? answered : asked) += '\0' + message.content;
    }
    const auto to_number = [](const std::string& digits) {
      return std::stoull(digits, nullptr, 16);
    };
    result_.questions_hash = to_number(core::hash_bytes(asked));
    result_.content_hash = to_number(core::hash_bytes(asked + '\1' + answered));
  }

  const SampleSource& source_;
  const size_t index_;
  const CheckOptions& options_;
  Examination result_;
  std::string first_loss_;
};

}  // namespace

Examination examine(const SampleSource& source, size_t index, const CheckOptions& options) {
  return Examiner(source, index, options).run();
}

}  // namespace streamo::data
