// Formats a step as one line. When the terminal is too narrow, the parts of lowest priority are
// dropped.
#include "metrics/terminal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string_view>
#include <vector>

namespace streamo::metrics {
namespace {

// "310", "41.2 k", "1.3 M"
std::string format_quantity(double value) {
  if (value < 10) return fmt::format("{:.1f}", value);
  if (value < 1e3) return fmt::format("{:.0f}", value);
  if (value < 1e6) return fmt::format("{:.1f} k", value / 1e3);
  return fmt::format("{:.1f} M", value / 1e6);
}

// ".93", "1.0", "-"
std::string format_share(int64_t hits, int64_t targets) {
  if (targets == 0) return "-";
  const std::string digits =
      fmt::format("{:.2f}", static_cast<double>(hits) / static_cast<double>(targets));
  return digits == "1.00" ? "1.0" : digits.substr(1);
}

std::string format_recall(const StepMetrics& metrics) {
  constexpr std::array<char, 3> kLetters = {'S', 'B', 'R'};
  std::string text;
  for (size_t state = 0; state < kLetters.size(); ++state) {
    text += fmt::format("{}{} {}", state == 0 ? "" : " ", kLetters[state],
                        format_share(metrics.state_hits[state], metrics.state_targets[state]));
  }
  return text;
}

// One part of the live line. `columns` is what it takes on the screen: the bar is made of
// multi-byte characters.
struct Part {
  std::string text, style;
  int priority;  // 0 stays to the last
  int columns;
};

Part make_part(int priority, std::string text, std::string style = "") {
  const int columns = static_cast<int>(text.size());
  return {std::move(text), std::move(style), priority, columns};
}

Part progress_part(const StepMetrics& metrics) {
  constexpr int kCells = 16;
  const auto total = std::max<int64_t>(metrics.total_steps, 1);
  const int filled = static_cast<int>(kCells * std::min(metrics.step, total) / total);
  std::string bar = "\x1b[36m";
  for (int cell = 0; cell < kCells; ++cell) {
    if (cell == filled) bar += "\x1b[90m";
    bar += "━";
  }
  const std::string count = fmt::format(" {}/{}", metrics.step, metrics.total_steps);
  return {bar + "\x1b[0m" + count, "", 0, kCells + static_cast<int>(count.size())};
}

std::vector<Part> live_parts(const StepMetrics& metrics) {
  const std::string bold = "\x1b[1m", dim = "\x1b[2m", yellow = "\x1b[33m";
  std::vector<Part> parts = {
      progress_part(metrics),
      make_part(0, fmt::format("loss {:.4f}", metrics.loss), bold),
      make_part(4, fmt::format("state {:.3f} text {:.3f}", metrics.loss_state, metrics.loss_text)),
      make_part(2, format_recall(metrics)),
      make_part(6, fmt::format("lr {:.1e}", metrics.lr), dim),
      make_part(5, format_quantity(metrics.tokens_per_second) + " tok/s"),
      make_part(3, format_quantity(metrics.video_seconds_per_second) + " video-s/s"),
  };
  constexpr double kNoticeableWait = 0.05;
  if (metrics.data_wait > kNoticeableWait) {
    parts.push_back(make_part(2, fmt::format("wait {:.0f} %", 100 * metrics.data_wait), yellow));
  }
  if (metrics.skipped > 0) {
    parts.push_back(make_part(2, fmt::format("{} skipped", metrics.skipped), yellow));
  }
  parts.push_back(make_part(1, "ETA " + format_duration(metrics.eta_seconds), bold));
  return parts;
}

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::max(seconds, 0.0)));
  const int64_t minutes = whole / 60, hours = minutes / 60, days = hours / 24;
  if (days > 0) return fmt::format("{} d {} h", days, hours % 24);
  if (hours > 0) return fmt::format("{} h {:02} m", hours, minutes % 60);
  if (minutes > 0) return fmt::format("{} m {:02} s", minutes, whole % 60);
  return fmt::format("{} s", whole);
}

std::string format_bytes(int64_t bytes) {
  constexpr double kMebibyte = 1024.0 * 1024;
  const double mebibytes = static_cast<double>(bytes) / kMebibyte;
  if (mebibytes < 1024) return fmt::format("{:.0f} MiB", mebibytes);
  return fmt::format("{:.1f} GiB", mebibytes / 1024);
}

std::string plain_line(const StepMetrics& metrics) {
  return fmt::format(
      "step {:>5}/{} | loss {:.4f} (state {:.3f} text {:.3f}) | recall {} | grad {:.2f} | lr "
      "{:.1e} | "
      "{} tok/s | {} video-s/s | wait {:.1f} % | {} | {} skipped | ETA {}",
      metrics.step, metrics.total_steps, metrics.loss, metrics.loss_state, metrics.loss_text,
      format_recall(metrics), metrics.grad_norm, metrics.lr,
      format_quantity(metrics.tokens_per_second), format_quantity(metrics.video_seconds_per_second),
      100 * metrics.data_wait, format_bytes(metrics.peak_memory_bytes), metrics.skipped,
      format_duration(metrics.eta_seconds));
}

std::string live_line(const StepMetrics& metrics, int columns) {
  constexpr std::string_view kGap = "  ";
  std::vector<Part> parts = live_parts(metrics);
  const auto width = [&] {
    return std::accumulate(parts.begin(), parts.end(), -static_cast<int>(kGap.size()),
                           [&](int sum, const Part& part) {
                             return sum + part.columns + static_cast<int>(kGap.size());
                           });
  };
  while (parts.size() > 1 && width() > columns) {
    parts.erase(std::max_element(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
      return a.priority < b.priority;
    }));
  }
  std::string line;
  for (const Part& part : parts) {
    if (!line.empty()) line += kGap;
    line += part.style.empty() ? part.text : part.style + part.text + "\x1b[0m";
  }
  return line;
}

void TerminalDisplay::show(const StepMetrics& metrics) {
  // One column less: a full line makes some terminals wrap.
  line_.show(line_.is_terminal() ? live_line(metrics, core::terminal_columns(/*otherwise=*/100) - 1)
                                 : plain_line(metrics));
}

}  // namespace streamo::metrics
