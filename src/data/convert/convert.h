// Whole annotation files from one format to another: `streamo convert`.
//
// The output has the layout of the input (array, JSON Lines or one object) and its order, and is
// complete or absent. Samples that cannot be converted are left out and listed, with everything an
// annotation said that the conversation cannot say, in OUT.report.json:
//   {"input", "output", "samples", "converted", "turns", "skipped": [{"id", "reason"}],
//    "losses": {"overwritten_answers": {"count", "entries": ["ID: ..."]}, ...}}
// Memory does not grow with the files, but for 17 bytes a record and the entries of the report.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/samples/conversation.h"

namespace streamo::data {

struct ConversionReport {
  size_t samples = 0, converted = 0;
  int64_t turns = 0;                                         // of the converted samples
  std::vector<std::pair<std::string, std::string>> skipped;  // id, reason
  ConversionLosses losses;  // each entry begins with the sample's id

  nlohmann::ordered_json to_json() const;
};

std::filesystem::path report_path(const std::filesystem::path& output);

struct ToStreamOptions {
  std::filesystem::path input, output;
  // In front of relative video paths, and what no path may leave unless `allow_outside_prefix`;
  // empty: the folder of the input, and no limit (VideoRoot).
  std::filesystem::path video_prefix;
  bool allow_outside_prefix = false;
  ConversationOptions conversation;
  int num_workers = 8;
};

// Raw annotations -> stream format. The videos are probed, once each, not decoded. A relative video
// path is written so that it is found from the output's folder: as the prefix makes it where that
// works, else relative to that folder when the video is below it, else absolute. Throws
// core::Error: kData for an unusable input or when no sample could be converted (then there is a
// report, but no output), kDisk when the output cannot be written.
ConversionReport convert_to_stream(const ToStreamOptions& options);

struct ToImageOptions {
  std::filesystem::path input, output;
  std::filesystem::path frame_dir;
  double fps = 1.0;
  std::optional<int64_t>
      max_frames;  // of a conversation: the rounds beyond are cut, and listed as a loss
  int num_workers = 8;
};

// Stream format with `<stream>` -> the same with `<image>`; the frames, in their original size,
// become FRAME_DIR/<name of the video without suffix>/000000.png ... Each video is decoded once for
// all its samples. A second video of the same name gets a folder with a number behind it: in the
// order of the input, so that two runs write the same. Relative video paths are taken from the
// input's folder. Errors as above.
ConversionReport convert_to_image(const ToImageOptions& options);

}  // namespace streamo::data
