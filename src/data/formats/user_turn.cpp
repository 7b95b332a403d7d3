// Writes a user turn, and extracts the question from one, also in the layouts of other tools.
#include "data/formats/user_turn.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "streamo/text/chat_format.h"
#include "text/trim.h"

namespace streamo::data {
namespace {

using text::trimmed;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_placeholder(std::string_view text) {
  return std::find(text::kPlaceholders.begin(), text::kPlaceholders.end(), text) !=
         text::kPlaceholders.end();
}

// A tag of ours: "<4s-5s>".
bool is_own_tag(std::string_view line) {
  return line.starts_with('<') && line.ends_with("s>") && line.find("s-") != line.npos &&
         line.find_first_not_of("0123456789.s-", 1) == line.size() - 1;
}

bool is_word_of_times(std::string_view word) {
  static constexpr std::array<std::string_view, 20> kWords = {
      "s", "sec",  "secs",  "second", "seconds",   "m",     "min",  "mins", "minute", "minutes",
      "h", "hour", "hours", "ms",     "timestamp", "times", "time", "t",    "frame",  "to"};
  std::string lower(word);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
}

// A time as anybody may write it: "<4.0 seconds>", "[00:04]", "Time: 4 s",
// "<timestamp>4.0</timestamp>". A number alone is none: it may be an answer to choose.
bool is_time(std::string_view text) {
  constexpr std::string_view kMarks = "<>[](){}:", kBetween = " \t.,;-/=#~|_";
  bool has_number = false, has_mark = false;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    if (is_digit(text[i])) {
      has_number = true;
    } else if (is_letter(text[i])) {
      while (end < text.size() && is_letter(text[end])) ++end;
      if (!is_word_of_times(text.substr(i, end - i))) return false;
      has_mark = true;
    } else if (kMarks.find(text[i]) != kMarks.npos) {
      has_mark = true;
    } else if (text.substr(i).starts_with("–")) {
      end = i + std::string_view("–").size();
    } else if (kBetween.find(text[i]) == kBetween.npos) {
      return false;
    }
    i = end;
  }
  return has_number && has_mark;
}

// Cuts a time in brackets off the end of the text; false when there is none.
bool cut_tag_at_end(std::string_view& text) {
  const std::string_view whole = trimmed(text);
  if (!whole.ends_with('>') && !whole.ends_with(']')) return false;
  const char opening = whole.back() == '>' ? '<' : '[';
  size_t at = whole.size();
  for (int brackets = 0; brackets < 2 && at > 0; ++brackets) {  // "<time>4 s</time>" has two
    at = whole.rfind(opening, at - 1);
    if (at == whole.npos) return false;
    if (!is_time(whole.substr(at))) continue;
    text = whole.substr(0, at);
    return true;
  }
  return false;
}

bool cut_tag_at_start(std::string_view& text) {
  const std::string_view whole = trimmed(text);
  if (!whole.starts_with('<') && !whole.starts_with('[')) return false;
  const char closing = whole.front() == '<' ? '>' : ']';
  size_t at = 0;
  for (int brackets = 0; brackets < 2; ++brackets) {
    at = whole.find(closing, at + 1);
    if (at == whole.npos) return false;
    if (!is_time(whole.substr(0, at + 1))) continue;
    text = whole.substr(at + 1);
    return true;
  }
  return false;
}

// The texts before, between and behind the placeholders.
std::vector<std::string_view> around_placeholders(std::string_view content) {
  std::vector<std::string_view> pieces;
  for (;;) {
    size_t first = content.npos, length = 0;
    for (const std::string_view placeholder : text::kPlaceholders) {
      const size_t at = content.find(placeholder);
      if (at < first) first = at, length = placeholder.size();
    }
    pieces.push_back(content.substr(0, first));
    if (first == content.npos) return pieces;
    content.remove_prefix(first + length);
  }
}

template <typename Visit>
void for_each_line(std::string_view text, const Visit& visit) {  // with its line break
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    visit(text.substr(0, end));
    text.remove_prefix(end);
  }
}

// Without lines that hold a time and nothing else.
std::string without_times(std::string_view text, bool& had_one) {
  std::string kept;
  for_each_line(text, [&](std::string_view line) {
    if (is_time(trimmed(line))) {
      had_one = true;
    } else {
      kept += line;
    }
  });
  return kept;
}

// Each picture's tag may stand before it or behind it.
std::string question_anywhere(std::string_view content) {
  std::vector<std::string_view> pieces = around_placeholders(content);
  const size_t last = pieces.size() - 1;
  bool tagged = false;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (i < last) tagged |= cut_tag_at_end(pieces[i]);
    if (i > 0) tagged |= cut_tag_at_start(pieces[i]);
  }
  std::string question;
  std::vector<std::string> texts;
  for (const std::string_view piece : pieces) texts.push_back(without_times(piece, tagged));
  if (!tagged) {
    std::string_view front = texts.front(), back = texts.back();
    if (cut_tag_at_start(front)) {
      texts.front() = std::string(front);
    } else if (cut_tag_at_end(back)) {
      texts.back() = std::string(back);
    }
  }
  for (const std::string& text : texts) {
    const std::string_view part = trimmed(text);
    if (part.empty()) continue;
    if (!question.empty()) question += '\n';
    question += part;
  }
  return question;
}

bool is_sentence(std::string_view line) {
  return line.ends_with('?') || line.ends_with('.') || line.ends_with('!') ||
         line.ends_with("？") || line.ends_with("。");
}

std::string seconds(int64_t turn, double fps) {
  std::string text = fmt::format("{:.3f}", static_cast<double>(turn) / fps);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

std::string time_tag(int64_t turn, double fps) {
  return fmt::format("<{}s-{}s>", seconds(turn, fps), seconds(turn + 1, fps));
}

std::string user_content(const std::string& question, int64_t turn, double fps) {
  return fmt::format("{}{}{}\n{}", question, question.empty() ? "" : "\n", time_tag(turn, fps),
                     text::kStreamPlaceholder);
}

std::optional<std::string_view> text_above_tag(std::string_view content) {
  std::string_view above = content;
  bool has_tag = false;
  while (!above.empty()) {
    const size_t break_at = above.rfind('\n');
    const size_t line = break_at == above.npos ? 0 : break_at + 1;
    const bool is_tag = is_own_tag(above.substr(line));
    if (!is_tag && !is_placeholder(above.substr(line))) break;
    has_tag |= is_tag;
    above = above.substr(0, line == 0 ? 0 : break_at);
  }
  return has_tag ? std::optional(above) : std::nullopt;
}

std::string extract_question(std::string_view content) {
  const auto above = text_above_tag(content);
  const bool is_ours = above && text::count_placeholders(*above) == 0;
  return is_ours ? std::string(*above) : question_anywhere(content);
}

std::string without_repeats(const std::string& text) {
  std::set<std::string_view> asked;
  std::string_view before;
  std::string kept;
  for_each_line(text, [&](std::string_view line) {
    const std::string_view question = trimmed(line);
    const bool is_repeat = !asked.insert(question).second;
    const bool is_question = !question.empty() && !is_time(question) &&
                             text::count_placeholders(question) == 0 &&
                             (question == before || is_sentence(question));
    before = question;
    if (is_repeat && is_question) return;
    kept += line;
  });
  const bool lost_its_end = !text.ends_with('\n') && kept.ends_with('\n');
  if (lost_its_end) kept.pop_back();
  return kept;
}

}  // namespace streamo::data
