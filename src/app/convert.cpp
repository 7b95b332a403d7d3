// streamo convert to-stream | to-image: annotation files from one format to another.
#include "data/convert/convert.h"

#include <algorithm>
#include <memory>
#include <string>

#include "app/command.h"
#include "app/number_option.h"
#include "core/io/output.h"
#include "core/process/machine.h"
#include "core/process/parallel.h"
#include "streamo/text/chat_format.h"

namespace streamo::app {
namespace {

constexpr double kMinFps = 1e-3, kMaxFps = 1000;

// The options both directions have.
template <typename Options>
void add_common_options(CLI::App& command, Options& options, double& fps) {
  options.num_workers = std::min(core::num_cores(), 16);
  command.add_option("--input", options.input, "JSON array, JSON Lines or one object")->required();
  command
      .add_option("--output", options.output,
                  std::string("Written in the layout of the input") + core::kReplaced)
      ->required();
  command.add_option("--fps", fps, "Turns a second of video")
      ->capture_default_str()
      ->transform(number(kMinFps, kMaxFps));
  command.add_option("--num-workers", options.num_workers, "Videos read at the same time")
      ->capture_default_str()
      ->transform(whole_number(1, 1024));
}

void add_to_stream(CLI::App& convert) {
  CLI::App* command = convert.add_subcommand(
      "to-stream", "Raw annotations -> one user turn and one state a second of video");
  auto options = std::make_shared<data::ToStreamOptions>();
  add_common_options(*command, *options, options->conversation.fps);
  command->add_option("--video-prefix", options->video_prefix,
                      "In front of relative video paths [the folder of the input]");
  command->add_flag("--allow-outside-prefix", options->allow_outside_prefix,
                    "Take videos that lie outside the prefix, too");
  command->add_option("--system-prompt", options->conversation.system_prompt,
                      "First message, empty for none [a description of the three states]");
  command->callback([options] {
    text::require_plain_text(options->conversation.system_prompt, core::ErrorKind::kUsage,
                             "--system-prompt", text::States::kNamed);
    data::convert_to_stream(*options);
  });
}

void add_to_image(CLI::App& convert) {
  CLI::App* command =
      convert.add_subcommand("to-image", "Stream format -> the same with the frames as PNG files");
  auto options = std::make_shared<data::ToImageOptions>();
  add_common_options(*command, *options, options->fps);
  command
      ->add_option("--frame-dir", options->frame_dir,
                   std::string("A folder for each video is made in it") + core::kReplaced)
      ->required();
  command
      ->add_option("--max-frames", options->max_frames,
                   "Keep only the rounds of a conversation's first frames")
      ->transform(whole_number(1, kMaxCount));
  command->callback([options] { data::convert_to_image(*options); });
}

}  // namespace

void add_convert_command(CLI::App& app) {
  CLI::App* convert = app.add_subcommand("convert", "Convert annotation files between formats");
  convert->require_subcommand(1);
  add_to_stream(*convert);
  add_to_image(*convert);
}

}  // namespace streamo::app
