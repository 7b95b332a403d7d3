// The three renderings of a turn: a JSON line, a plain line, and a terminal screen drawn with half-
// block characters and 24-bit escape sequences.
#include "app/watch/watch_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "core/log.h"
#include "core/print.h"
#include "core/printable.h"

namespace streamo::app {
namespace {

using nlohmann::ordered_json;

struct Colour {
  int red, green, blue;
};
// Of silence, standby, response.
constexpr std::array<Colour, text::kNumStates> kStateColours = {
    {{110, 118, 129}, {210, 153, 34}, {63, 185, 80}}};
constexpr const char* kReset = "\x1b[0m";

double watched_time(const WatchedSecond& second) {
  return second.frame.time;
}

// Mean colour of the part of the picture that a cell stands for.
Colour cell(const video::Frame& frame, int row, int rows, int column, int columns) {
  const int top = frame.size.height * row / rows, left = frame.size.width * column / columns;
  const int bottom = std::max(top + 1, frame.size.height * (row + 1) / rows);
  const int right = std::max(left + 1, frame.size.width * (column + 1) / columns);
  std::array<int64_t, 3> sum{};
  for (int y = top; y < bottom; ++y) {
    for (int x = left; x < right; ++x) {
      const size_t at = (static_cast<size_t>(y) * static_cast<size_t>(frame.size.width) +
                         static_cast<size_t>(x)) *
                        3;
      for (size_t channel = 0; channel < 3; ++channel) sum[channel] += frame.rgb[at + channel];
    }
  }
  const int64_t count = int64_t{bottom - top} * (right - left);
  return {static_cast<int>(sum[0] / count), static_cast<int>(sum[1] / count),
          static_cast<int>(sum[2] / count)};
}

// Two rows of the picture a line of text.
std::vector<std::string> half_blocks(const video::Frame& frame, int columns) {
  columns = std::clamp(columns, 8, 48);
  const int lines = std::max(2, columns * frame.size.height / frame.size.width / 2);
  std::vector<std::string> text;
  for (int line = 0; line < lines; ++line) {
    std::string row;
    for (int column = 0; column < columns; ++column) {
      const Colour up = cell(frame, 2 * line, 2 * lines, column, columns);
      const Colour down = cell(frame, 2 * line + 1, 2 * lines, column, columns);
      row += fmt::format("\x1b[38;2;{};{};{}m\x1b[48;2;{};{};{}m\u2580", up.red, up.green, up.blue,
                         down.red, down.green, down.blue);
    }
    text.push_back(row + kReset);
  }
  return text;
}

std::string coloured(int state, std::string_view text) {
  const Colour& colour = kStateColours.at(static_cast<size_t>(state));
  return fmt::format("\x1b[38;2;{};{};{}m{}{}", colour.red, colour.green, colour.blue, text,
                     kReset);
}

}  // namespace

bool terminal_has_true_colour() {
  const char* colours = std::getenv("COLORTERM");
  const std::string_view said = colours == nullptr ? "" : colours;
  return core::stdout_is_terminal() && (said == "truecolor" || said == "24bit");
}

ordered_json to_json(const WatchedSecond& second) {
  const auto& p = second.round.probabilities;
  ordered_json json{{"index", second.frame.index},
                    {"second", watched_time(second)},
                    {"state", text::state_name(second.round.state)},
                    {"probabilities", ordered_json::object()}};
  for (size_t i = 0; i < p.size(); ++i)
    json["probabilities"][std::string(text::kStateNames[i])] = p[i];
  if (second.round.state == text::State::kResponse) json["answer"] = second.round.answer;
  if (!second.questions.empty()) json["questions"] = second.questions;
  json["latency"] = second.latency;
  if (second.lag > 0) json["lag"] = second.lag;
  if (second.dropped > 0) json["dropped"] = second.dropped;
  return json;
}

std::string to_line(const WatchedSecond& second) {
  const auto& p = second.round.probabilities;
  std::string line =
      fmt::format("{:>6g} s  {:<8}  S {:.2f}  B {:.2f}  R {:.2f}", watched_time(second),
                  text::state_name(second.round.state), p[0], p[1], p[2]);
  const Colour mean = cell(second.frame, 0, 1, 0, 1);
  line += fmt::format("  {}x{} #{:02x}{:02x}{:02x}", second.frame.size.width,
                      second.frame.size.height, mean.red, mean.green, mean.blue);
  for (const std::string& question : second.questions)
    line += "  ? " + core::printable_line(question);
  if (second.round.state == text::State::kResponse)
    line += "  > " + core::printable_line(second.round.answer);
  return line;
}

void WatchScreen::show(const WatchedSecond& second) {
  constexpr size_t kReplies = 6;
  const int columns = core::terminal_columns(/*otherwise=*/80);
  const int state = static_cast<int>(second.round.state);
  states_.push_back(state);
  const auto told = [&](const char* mark, const std::string& said) {
    const std::string text = core::printable_line(said);
    // Cut to the terminal's width: a line that wraps could not be drawn over.
    const auto room = static_cast<size_t>(std::max(8, columns - 14));
    replies_.push_back(fmt::format("{:>7g} s {} {}", watched_time(second), mark,
                                   text.size() > room ? text.substr(0, room) : text));
  };
  for (const std::string& question : second.questions) told("?", question);
  if (second.round.state == text::State::kResponse) told(">", second.round.answer);
  if (replies_.size() > kReplies)
    replies_.erase(replies_.begin(), replies_.end() - static_cast<std::ptrdiff_t>(kReplies));

  std::vector<std::string> text = half_blocks(second.frame, columns);
  const auto& p = second.round.probabilities;
  text.push_back(fmt::format(
      "{:>7g} s  {}  {} {:.2f}  {} {:.2f}  {} {:.2f}  {:.0f} ms", watched_time(second),
      coloured(state, text::state_name(second.round.state)), coloured(0, "silence"), p[0],
      coloured(1, "standby"), p[1], coloured(2, "response"), p[2], 1000 * second.latency));
  std::string strip;
  const size_t shown = std::min(states_.size(), static_cast<size_t>(columns - 1));
  for (size_t i = states_.size() - shown; i < states_.size(); ++i)
    strip += coloured(states_[i], "\u2588");
  text.push_back(strip);
  text.insert(text.end(), replies_.begin(), replies_.end());

  std::string frame = lines_ > 0 ? fmt::format("\x1b[{}A", lines_) : "";
  for (const std::string& line : text) frame += line + "\x1b[K\n";
  frame += "\x1b[J";
  core::show(stdout, frame);
  lines_ = static_cast<int>(text.size());
}

}  // namespace streamo::app
