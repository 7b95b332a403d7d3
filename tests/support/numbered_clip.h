// Clips whose every picture carries its own number, so that a test sees which one was taken.
//
// Made at test time by the ffmpeg program: another tool than the code under test, though of the
// same family.
#pragma once

#include <fmt/format.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "streamo/video/resize.h"
#include "support/run_command.h"

namespace streamo::test {

// The number in binary: 2 rows of 8 blocks over the upper half of the picture, white = 1, highest
// bit first. The lower half is grey, so an upside-down picture reads as another number.
inline constexpr int kCodeColumns = 8, kCodeRows = 2;

inline bool code_bit(int number, int row, int column) {
  return ((number >> (15 - (row * kCodeColumns + column))) & 1) != 0;
}

inline std::string numbered_picture(video::FrameSize size, int number) {
  std::string grey(static_cast<size_t>(size.height) * static_cast<size_t>(size.width), '\x60');
  for (int y = 0; y < size.height / 2; ++y) {
    for (int x = 0; x < size.width; ++x) {
      const bool bit =
          code_bit(number, y * kCodeRows / (size.height / 2), x * kCodeColumns / size.width);
      grey[static_cast<size_t>(y) * static_cast<size_t>(size.width) + static_cast<size_t>(x)] =
          bit ? '\xe0' : '\x20';
    }
  }
  return grey;
}

// The number in an RGB picture [height, width, 3]; -1: it shows none (a block is neither dark nor
// bright).
inline int read_number(video::FrameSize size, std::span<const uint8_t> rgb) {
  int number = 0;
  for (int row = 0; row < kCodeRows; ++row) {
    for (int column = 0; column < kCodeColumns; ++column) {
      const int y = (2 * row + 1) * size.height / (4 * kCodeRows);
      const int x = (2 * column + 1) * size.width / (2 * kCodeColumns);
      const int value =
          rgb[(static_cast<size_t>(y) * static_cast<size_t>(size.width) + static_cast<size_t>(x)) *
              3];
      if (value > 90 && value < 166) return -1;
      number = 2 * number + (value > 128 ? 1 : 0);
    }
  }
  return number;
}

struct ClipRecipe {
  int frames = 100;
  std::string rate = "25";         // as ffmpeg reads it: "30000/1001"
  video::FrameSize size{96, 128};  // the default is small and quick
  // Everything between the input and the output's name.
  std::string encode = "-c:v libx264 -preset ultrafast -bf 2 -g 50";
};

inline void run_or_throw(const std::string& command) {
  const CommandResult result = run_command(command);
  if (result.exit_code != 0) throw std::runtime_error(command + "\n" + result.err);
}

inline std::filesystem::path make_clip(const std::filesystem::path& path,
                                       const ClipRecipe& recipe) {
  const std::string command = fmt::format(
      "ffmpeg -v error -y -f rawvideo -pix_fmt gray -s {}x{} -r {} -i - -pix_fmt yuv420p {} {}",
      recipe.size.width, recipe.size.height, recipe.rate, recipe.encode,
      shell_quote(path.string()));
  std::signal(SIGPIPE, SIG_IGN);  // an encoder that refuses must not end the test program
  FILE* pipe = ::popen(command.c_str(), "w");
  if (pipe == nullptr) throw std::runtime_error("cannot start: " + command);
  for (int i = 0; i < recipe.frames; ++i) {
    const std::string picture = numbered_picture(recipe.size, i);
    std::fwrite(picture.data(), 1, picture.size(), pipe);
  }
  if (::pclose(pipe) != 0) throw std::runtime_error("failed: " + command);
  return path;
}

// Clips of two pictures a second, the first of two seconds, each next a second longer; their names
// in `folder`.
inline std::vector<std::string> make_growing_clips(const std::filesystem::path& folder,
                                                   size_t count) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    names.push_back(fmt::format("{}.mp4", i));
    make_clip(folder / names.back(), {.frames = 2 * (2 + static_cast<int>(i)), .rate = "2"});
  }
  return names;
}

// ffmpeg without decoding: cuts, other containers, tags.
inline std::filesystem::path remux(const std::filesystem::path& from,
                                   const std::filesystem::path& to,
                                   const std::string& input_options,
                                   const std::string& output_options) {
  run_or_throw(fmt::format("ffmpeg -v error -y {} -i {} -c copy {} {}", input_options,
                           shell_quote(from.string()), output_options, shell_quote(to.string())));
  return to;
}

// How the pictures of an MP4's first track are to be shown: the display matrix of its header is set
// to a b / c d, of -1, 0 and 1. (ffmpeg's options for it changed from version to version.)
inline std::filesystem::path turn(const std::filesystem::path& mp4, int a, int b, int c, int d) {
  std::fstream file(mp4, std::ios::binary | std::ios::in | std::ios::out);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  file.clear();
  file.seekp(static_cast<std::streamoff>(bytes.find("tkhd") + 44));
  for (const int entry : {a, b, 0, c, d, 0}) {  // big-endian, 16.16
    const std::string sign(2, entry < 0 ? '\xff' : '\0');
    file << (entry == 1 ? std::string("\0\1", 2) : sign) << std::string(2, '\0');
  }
  if (!file.flush()) throw std::runtime_error("cannot turn " + mp4.string());
  return mp4;
}

// The times of the displayed pictures as ffprobe decodes them, in ticks, and the length of a tick.
struct ShownTimes {
  std::vector<int64_t> ticks;
  int64_t tick_num = 1, tick_den = 1;
};

inline ShownTimes shown_times(const std::filesystem::path& path) {
  const CommandResult result = run_command(
      "ffprobe -v quiet -select_streams v:0 -show_entries frame=pts:stream=time_base -of json " +
      shell_quote(path.string()));
  const nlohmann::json json = nlohmann::json::parse(result.out);
  ShownTimes times;
  for (const auto& frame : json.at("frames")) times.ticks.push_back(frame.at("pts").get<int64_t>());
  const std::string base = json.at("streams").at(0).at("time_base");
  if (std::sscanf(base.c_str(), "%ld/%ld", &times.tick_num, &times.tick_den) != 2) {
    throw std::runtime_error("no time base: " + base);
  }
  return times;
}

}  // namespace streamo::test
