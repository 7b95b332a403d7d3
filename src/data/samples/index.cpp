// Counts the exact tokens of every sample, and splits overlong ones greedily into the longest
// windows that fit.
#include "data/samples/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "core/io/fault_point.h"
#include "core/log.h"
#include "core/process/parallel.h"
#include "core/process/progress.h"
#include "core/suggest.h"
#include "data/check/sample_examination.h"
#include "data/samples/training_example.h"
#include "video/image/picture.h"

namespace streamo::data {
namespace {

core::Result<int64_t> tokens_of_picture(video::FrameSize size, const std::string& file,
                                        int64_t token_side, const video::PixelLimits& limits) {
  try {
    return image_tokens(video::smart_resize(size, limits), token_side);
  } catch (const core::Error& refused) {  // its shape
    return core::Fault{file + ": " + refused.summary()};
  }
}

// Those of a message, which stand behind the ones counted so far.
void count_pictures(const text::Message& message, const std::vector<int64_t>& picture_tokens,
                    Item& item) {
  for (int64_t left = text::count_placeholders(message.content); left > 0; --left)
    item.visual_tokens += picture_tokens[static_cast<size_t>(item.frames++)];
}

// Cuts a conversation into windows of at most max_length tokens and context.max_rounds, each as
// long as it can be.
class Splitter {
 public:
  Splitter(const Conversation& conversation, const text::ChatFormat& chat,
           std::vector<int64_t> picture_tokens, int64_t max_length, const ContextRule& context)
      : conversation_(conversation),
        chat_(chat),
        picture_tokens_(std::move(picture_tokens)),
        max_length_(max_length),
        context_(context) {}

  // The longest window in which round `first` is the first to learn from. Where the rounds that it
  // should begin with leave no room for that, it begins with `first`; num_rounds 0 when not even
  // this fits.
  Item longest_for(int64_t first) const {
    const Item item = longest_from(std::max<int64_t>(first - context_.overlap_rounds, 0), first);
    return item.num_rounds > item.seen_rounds ? item : longest_from(first, first);
  }

 private:
  Item longest_from(int64_t begin, int64_t first) const {
    int64_t rounds = num_rounds(conversation_) - begin;
    if (context_.max_rounds > 0) rounds = std::min(rounds, context_.max_rounds);
    Item item{.first_round = begin,
              .sink_rounds = std::min(context_.sink_rounds, begin),
              .seen_rounds = first - begin};
    const Conversation rest = cut_window(conversation_, begin, rounds, item.sink_rounds);
    const std::vector<int64_t> pictures = window_picture_tokens(begin, item.sink_rounds);
    const std::vector<MessageTokens> counts = count_message_tokens(rest.messages, chat_, pictures);
    const size_t head = rest.messages.size() - 2 * static_cast<size_t>(rounds);
    for (size_t i = 0; i < head; ++i) {  // system message and sinks
      item.tokens += counts[i].all;
      count_pictures(rest.messages[i], pictures, item);
    }
    for (size_t i = head; i + 1 < counts.size(); i += 2) {
      const int64_t round = counts[i].all + counts[i + 1].all;
      if (item.tokens + round > max_length_) break;
      item.tokens += round;
      if (item.num_rounds >= item.seen_rounds) item.supervised += counts[i + 1].supervised;
      count_pictures(rest.messages[i], pictures, item);
      ++item.num_rounds;
    }
    return item;
  }

  // Tokens of the pictures of the sinks, then of all from round `begin` on.
  std::vector<int64_t> window_picture_tokens(int64_t begin, int64_t sinks) const {
    const auto first = picture_tokens_.begin();
    std::vector<int64_t> tokens(first, first + placeholders_before(conversation_, sinks));
    tokens.insert(tokens.end(), first + placeholders_before(conversation_, begin),
                  picture_tokens_.end());
    return tokens;
  }

  const Conversation& conversation_;
  const text::ChatFormat& chat_;
  std::vector<int64_t> picture_tokens_;
  int64_t max_length_;
  ContextRule context_;
};

// As `streamo check` sees it.
SampleItems read_sample(const SampleSource& source, size_t sample, const text::ChatFormat& chat,
                        const IndexOptions& options) {
  core::fault_point("index.sample");
  Examination found = examine(source, sample, {.chat = &chat, .index = options});
  SampleItems result{.items = std::move(found.items),
                     .overlong = found.overlong,
                     .findings = counted(found.findings),
                     .responses = found.states[static_cast<size_t>(text::State::kResponse)],
                     .answers = found.answers,
                     .answers_lost = found.answers_lost};
  if (found.bad) {
    result.reason = found.findings.front().second;
    return result;
  }
  const auto content = source.content_id(sample);
  if (!content) return {.reason = content.reason()};
  result.content_id = *content;
  return result;
}

void tell(const FindingSummaries& findings) {
  const std::string text = to_text(findings, /*bad=*/true, "cannot be used") +
                           to_text(findings, /*bad=*/false, "used, but worth a look");
  if (!text.empty()) core::log_info("the training data (`streamo check` lists all of it):{}", text);
}

}  // namespace

core::Result<std::vector<int64_t>> count_picture_tokens(const Conversation& conversation,
                                                        int64_t token_side,
                                                        const SampleSource& source) {
  const auto tokens_of = [&](video::FrameSize size, const std::string& file) {
    return tokens_of_picture(size, file, token_side, source.options().pixel_limits);
  };
  std::vector<int64_t> tokens;
  for (const std::string& image : conversation.image_paths) {
    const auto size = video::picture_size(image);
    if (!size) return size.fault();
    const auto count = tokens_of(*size, image);
    if (!count) return count.fault();
    tokens.push_back(*count);
  }
  const auto placeholders = static_cast<size_t>(num_placeholders(conversation));
  if (!conversation.video_path.empty()) {
    const auto info = source.video_info(conversation.video_path);
    if (!info) return info.fault();
    const auto count = tokens_of(info->size, conversation.video_path);
    if (!count) return count.fault();
    tokens.assign(placeholders, *count);
  }
  if (!tokens.empty())
    tokens.resize(placeholders, tokens.back());  // a missing last picture is repeated
  if (tokens.size() != placeholders) {
    return core::Fault{fmt::format("{} placeholders and no pictures", placeholders)};
  }
  return tokens;
}

SampleItems split_into_items(const Conversation& conversation, std::vector<int64_t> picture_tokens,
                             size_t sample, const text::ChatFormat& chat,
                             const IndexOptions& options) {
  SampleItems result;
  const ContextRule context =
      options.overlong == Overlong::kSplit ? options.context : ContextRule{};
  const Splitter splitter(conversation, chat, std::move(picture_tokens), options.max_length,
                          context);
  const int64_t rounds = num_rounds(conversation);
  for (int64_t first = 0; first < rounds;) {
    Item item = splitter.longest_for(first);
    item.sample = sample;
    const int64_t end = item.first_round + item.num_rounds;
    result.overlong |= end < rounds;
    if (item.num_rounds == 0 || (result.overlong && options.overlong == Overlong::kDrop)) {
      const char* what = item.num_rounds == 0 ? "a single turn is longer" : "longer";
      return {
          .reason = fmt::format("{} than data.max_length = {} tokens", what, options.max_length),
          .overlong = true};
    }
    first = end;
    result.items.push_back(item);
    if (options.overlong == Overlong::kTruncate) break;
  }
  return result;
}

std::string window_limits(const IndexOptions& options) {
  const bool by_rounds = options.overlong == Overlong::kSplit && options.context.max_rounds > 0;
  return fmt::format("{} tokens", options.max_length) +
         (by_rounds ? fmt::format(" or {} rounds", options.context.max_rounds) : "");
}

Overlong parse_overlong(const std::string& name) {
  if (name == "drop") return Overlong::kDrop;
  if (name == "split") return Overlong::kSplit;
  STREAMO_CHECK(name == "truncate", "the config schema allows no other value");
  return Overlong::kTruncate;
}

std::vector<SampleItems> read_items(const SampleSource& source, const std::vector<size_t>& samples,
                                    const text::ChatFormat& chat, const IndexOptions& options) {
  std::vector<SampleItems> found(samples.size());
  core::parallel_for(samples.size(), options.num_workers, [&](size_t i) {
    found[i] = read_sample(source, samples[i], chat, options);
    core::reading().note();
  });
  return found;
}

Index make_index(const SampleSource& source, const std::vector<SampleItems>& of_sample,
                 SampleReport& report) {
  STREAMO_CHECK(of_sample.size() == source.size(), "what every sample gives");
  Index index;
  for (size_t sample = 0; sample < of_sample.size(); ++sample) {
    const SampleItems& found = of_sample[sample];
    index.overlong_samples += found.overlong ? 1 : 0;
    if (found.reason) report.add(source.id(sample), *found.reason);
    add(source.id(sample), found.findings, index.findings);
    index.responses += found.responses;
    index.answers += found.answers;
    index.answers_lost += found.answers_lost;
    for (const Item& item : found.items) {
      index.total_tokens += item.tokens;
      index.total_frames += item.frames;
      index.items.push_back(item);
    }
  }
  tell(index.findings);
  const bool has_targets = std::any_of(index.items.begin(), index.items.end(),
                                       [](const Item& item) { return item.supervised > 0; });
  if (!index.items.empty() && !has_targets) {
    throw core::Error(core::ErrorKind::kData,
                      fmt::format("none of {} samples has a token to learn from", of_sample.size()),
                      "data.train", "check that assistant turns have content, and data.max_length");
  }
  if (index.items.empty()) {
    const auto skipped = report.entries();
    throw core::Error(core::ErrorKind::kData,
                      skipped.empty()
                          ? "no sample can be used"
                          : fmt::format("no sample can be used, the first is {}: {}",
                                        skipped.begin()->first, skipped.begin()->second),
                      "data.train", "check data.train and data.video_prefix");
  }
  return index;
}

std::optional<std::string> lost_answers_problem(int64_t answers, int64_t lost,
                                                double max_bad_fraction) {
  if (static_cast<double>(lost) <= max_bad_fraction * static_cast<double>(answers))
    return std::nullopt;
  return fmt::format("{} of {} answers are lost, more than data.max_bad_fraction = {}", lost,
                     answers, max_bad_fraction);
}

void require_answers(const Index& index, double max_bad_fraction) {
  if (const auto problem =
          lost_answers_problem(index.answers, index.answers_lost, max_bad_fraction)) {
    throw core::Error(core::ErrorKind::kData, *problem, "data.train",
                      "mend the times listed above (`streamo check` lists all of them)");
  }
  if (index.responses == 0) {
    throw core::Error(core::ErrorKind::kData,
                      "no turn has a response: the model would learn to be silent", "data.train",
                      "look at the labels with `streamo check` and `streamo inspect`");
  }
}

Index build_index(const SampleSource& source, const text::ChatFormat& chat,
                  const IndexOptions& options, SampleReport& report) {
  std::vector<size_t> all(source.size());
  std::iota(all.begin(), all.end(), size_t{0});
  return make_index(source, read_items(source, all, chat, options), report);
}

}  // namespace streamo::data
