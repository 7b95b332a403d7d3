// streamo frames: the frames of a video or image file as the model would see them, with times.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "app/command.h"
#include "app/number_option.h"
#include "core/io/output.h"
#include "core/json/dump_json.h"
#include "core/log.h"
#include "core/print.h"
#include "core/url.h"
#include "streamo/core/error.h"
#include "streamo/video/sampler.h"
#include "video/image/contact_sheet.h"
#include "video/image/picture.h"
#include "video/image/png.h"

namespace streamo::app {
namespace {

struct FramesArguments {
  std::string video;
  double fps = 1.0;
  std::optional<int64_t> min_pixels, max_pixels;
  std::string resize = "fast", out, sheet;
  bool json = false;
};

template <typename T>
T value_or_throw(core::Result<T> result) {
  if (result) return *std::move(result);
  throw core::Error(core::ErrorKind::kData, result.reason(), "", "check the file, or give another");
}

video::SampleOptions sample_options(const FramesArguments& arguments) {
  video::SampleOptions options;
  options.fps = arguments.fps;
  options.resize = video::parse_resize(arguments.resize);
  if (arguments.min_pixels || arguments.max_pixels) {
    video::PixelLimits limits;
    limits.min_pixels = arguments.min_pixels.value_or(limits.min_pixels);
    limits.max_pixels = arguments.max_pixels.value_or(limits.max_pixels);
    if (limits.min_pixels > limits.max_pixels) {
      throw core::Error(core::ErrorKind::kUsage,
                        fmt::format("{} pixels at least and {} at most exclude each other",
                                    limits.min_pixels, limits.max_pixels),
                        "--min-pixels, --max-pixels", "give both, the smaller first");
    }
    options.pixel_limits = limits;
  }
  return options;
}

// What the command shows: takes the samples in their order, with the sheet and the files that are
// asked for.
class Shown {
 public:
  Shown(const FramesArguments& arguments, const video::VideoInfo& info)
      : arguments_(arguments), info_(info) {
    if (arguments.sheet.empty()) return;
    output(arguments.sheet);
    sheet_.emplace(info.num_samples);
  }

  void add(const video::Frame& frame) {
    size_ = frame.size;
    rows_.push_back({{"index", frame.index},
                     {"time", frame.time},
                     {"pts_time", frame.pts_time},
                     {"keyframe", frame.keyframe}});
    if (sheet_) sheet_->add(frame);
    if (arguments_.out.empty()) return;
    const std::filesystem::path folder = arguments_.out;
    video::write_png(output(folder / fmt::format("{:06}.png", frame.index)), frame.size, frame.rgb);
  }

  void write_sheet() const {
    if (!sheet_) return;
    sheet_->write_png(output(arguments_.sheet));
    if (sheet_->num_shown() == static_cast<int64_t>(rows_.size())) return;
    core::log_info("{} shows {} of {} samples, evenly spread", arguments_.sheet,
                   sheet_->num_shown(), rows_.size());
  }

  void print_table() const {
    core::print_result("{}\n{}x{}, {:.3f} s from {:.3f} s, {:.4g} pictures a second\n",
                       core::redact_source(arguments_.video), info_.size.width, info_.size.height,
                       info_.duration, info_.start, info_.frame_rate);
    core::print_result("{} samples at {:g} a second, {}x{} each\n\n", rows_.size(), arguments_.fps,
                       size_.width, size_.height);
    core::print_result("{:>6}  {:>10}  {:>10}  {}\n", "index", "time", "picture", "keyframe");
    for (const auto& row : rows_) {
      core::print_result("{:>6}  {:>10.3f}  {:>10.3f}  {}\n", row["index"].get<int64_t>(),
                         row["time"].get<double>(), row["pts_time"].get<double>(),
                         row["keyframe"].get<bool>() ? "yes" : "");
    }
  }

  void print_json() const {
    const nlohmann::ordered_json result{{"video", core::redact_source(arguments_.video)},
                                        {"duration", info_.duration},
                                        {"start", info_.start},
                                        {"fps", arguments_.fps},
                                        {"width", size_.width},
                                        {"height", size_.height},
                                        {"frames", rows_}};
    core::print_result("{}\n", core::dump_json(result, 2));
  }

 private:
  std::filesystem::path output(const std::filesystem::path& path) const {
    return core::output_file(path, {arguments_.video}, video::is_our_png());
  }

  const FramesArguments& arguments_;
  video::VideoInfo info_;
  video::FrameSize size_;  // of the pictures, after resizing
  nlohmann::ordered_json rows_ = nlohmann::ordered_json::array();
  std::optional<video::ContactSheet> sheet_;
};

// As a video that shows it for no time at all.
Shown show_picture(const FramesArguments& arguments) {
  video::Picture picture =
      value_or_throw(video::read_picture(arguments.video, sample_options(arguments).pixel_limits));
  video::VideoInfo info;
  info.size = value_or_throw(video::picture_size(arguments.video));
  info.num_samples = 1;
  video::Frame frame;
  frame.keyframe = true;
  frame.size = picture.size;
  frame.rgb = std::move(picture.rgb);
  Shown shown(arguments, info);
  shown.add(frame);
  return shown;
}

Shown show_video(const FramesArguments& arguments) {
  video::FrameSampler sampler =
      value_or_throw(video::FrameSampler::open(arguments.video, sample_options(arguments)));
  Shown shown(arguments, sampler.info());
  while (const auto frame = value_or_throw(sampler.next())) shown.add(*frame);
  return shown;
}

void run(const FramesArguments& arguments) {
  const Shown shown =
      video::is_picture_file(arguments.video) ? show_picture(arguments) : show_video(arguments);
  shown.write_sheet();
  if (arguments.json) {
    shown.print_json();
  } else {
    shown.print_table();
  }
}

}  // namespace

void add_frames_command(CLI::App& app) {
  const auto arguments = std::make_shared<FramesArguments>();
  CLI::App* command = app.add_subcommand(
      "frames", "Show which pictures of a video, or of a picture file, the model would see");
  command->add_option("video", arguments->video, "The video or picture file, or the URL of a video")
      ->required();
  command->add_option("--fps", arguments->fps, "Samples a second")
      ->transform(number(1e-4, 1000))
      ->capture_default_str();
  command
      ->add_option("--min-pixels", arguments->min_pixels,
                   "Resize as the model does: at least this many pixels (3136 if only the other "
                   "limit is given; with neither the original size is kept)")
      ->transform(whole_number(1, video::kMaxPicturePixels));
  command
      ->add_option("--max-pixels", arguments->max_pixels,
                   "Resize as the model does: at most this many pixels (100352 if only the other "
                   "limit is given)")
      ->transform(whole_number(1, video::kMaxPicturePixels));
  command
      ->add_option(
          "--resize", arguments->resize,
          "Of a video's pictures, as data.resize; a picture file always takes the exact way")
      ->check(CLI::IsMember({"fast", "exact"}))
      ->capture_default_str();
  command->add_option(
      "--out", arguments->out,
      std::string("Write the pictures into this folder: 000000.png...") + core::kReplaced);
  command->add_option("--sheet", arguments->sheet,
                      "Write a PNG with small copies of the pictures: under each the time of the "
                      "sample and that of the picture taken for it, in seconds" +
                          std::string(core::kReplaced));
  command->add_flag("--json", arguments->json, "Print JSON instead of a table");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace streamo::app
