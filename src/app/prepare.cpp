// streamo prepare CONFIG [key=value ...]: fills data.frame_cache ahead of a run.
#include "data/loading/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>

#include "app/command.h"
#include "app/number_option.h"
#include "config/options.h"
#include "config/run_config.h"
#include "core/log.h"
#include "core/print.h"
#include "core/process/machine.h"
#include "core/process/stop_signal.h"
#include "streamo/core/error.h"

namespace streamo::app {
namespace {

struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  int num_workers = std::min(core::num_cores(), 1024);
};

std::string describe(const data::PrepareProgress& progress, double elapsed) {
  const int64_t left = progress.videos - progress.present - progress.done;
  return fmt::format("{}/{} videos | {:.1f} video-seconds/s | {:.3g} GB written | {:.0f} s left",
                     progress.present + progress.done, progress.videos,
                     progress.seconds / std::max(elapsed, 1e-3),
                     static_cast<double>(progress.bytes) / 1e9,
                     elapsed * static_cast<double>(left) /
                         static_cast<double>(std::max<int64_t>(progress.done, 1)));
}

void print(const data::PrepareResult& result, double elapsed) {
  const data::PrepareProgress& progress = result.progress;
  for (const auto& [path, reason] : result.bad) core::log_warning("cannot be used: {}", reason);
  const auto bad = static_cast<int64_t>(result.bad.size());
  core::print_result(
      "{} videos: {} were in the cache, {} made, {} cannot be used, {} left\n"
      "{:.0f} s of video in {:.1f} s ({:.1f} video-seconds/s), {:.3f} GB written\n",
      progress.videos, progress.present, progress.done - bad, bad,
      progress.videos - progress.present - progress.done, progress.seconds, elapsed,
      progress.seconds / std::max(elapsed, 1e-3), static_cast<double>(progress.bytes) / 1e9);
}

void check(const data::PrepareResult& result, const config::RunConfig& config,
           const std::string& why_not_writing) {
  if (!why_not_writing.empty()) {
    throw core::Error(core::ErrorKind::kDisk, "the frame cache is not complete: " + why_not_writing,
                      "", "make room, or raise data.frame_cache_max_gb; the same command goes on");
  }
  if (!result.complete) {
    throw core::Error(core::ErrorKind::kStopped, "stopped by a signal; what was made is kept", "",
                      "the same command goes on from here");
  }
  const auto bad = static_cast<double>(result.bad.size());
  if (bad > config.data.max_bad_fraction * static_cast<double>(result.progress.videos)) {
    throw core::Error(
        core::ErrorKind::kData,
        fmt::format("{} of {} videos cannot be used, more than "
                    "data.max_bad_fraction = {}",
                    result.bad.size(), result.progress.videos, config.data.max_bad_fraction),
        "listed above", "repair or remove them");
  }
}

void prepare(const Arguments& arguments) {
  const config::RunConfig config = config::load_run_config(arguments.config, arguments.overrides);
  const auto cache = config::open_frame_cache(config);
  if (!cache) {
    throw core::Error(core::ErrorKind::kConfig, "data.frame_cache is not set", arguments.config,
                      "name the folder to fill, as in data.frame_cache=/scratch/frames");
  }
  check({.complete = true}, config, cache->why_not_writing());
  const video::PixelLimits limits = config::pixel_limits_to_be(config);
  std::vector<std::unique_ptr<data::SampleSource>> sources;
  std::vector<const data::SampleSource*> views;
  for (const auto& files : {config.data.train, config.data.eval}) {
    if (files.empty()) continue;
    sources.emplace_back(new data::SampleSource(  // which cannot be moved
        config::open_source(config, files, /*model_dir=*/{}, cache)));
    sources.back()->set_pixel_limits(limits);
    views.push_back(sources.back().get());
  }
  core::set_stop_rule({.in_order = true,
                       .said = "finishing the videos at hand",
                       .grace = std::chrono::milliseconds(1500),
                       .exit_code = static_cast<int>(core::ErrorKind::kStopped)});
  core::LiveLine line(stderr);
  const double started = core::monotonic_seconds();
  const auto elapsed = [started] { return core::monotonic_seconds() - started; };
  const auto show = [&](const data::PrepareProgress& progress) {
    if (line.is_due()) line.show(describe(progress, elapsed()));
  };
  const data::PrepareResult result =
      data::fill_frame_cache(views, {.num_workers = arguments.num_workers,
                                     .seed = std::random_device()(),
                                     .stopped = core::stop_requested,
                                     .progress = show});
  line.finish();
  print(result, elapsed());
  check(result, config, cache->why_not_writing());
}

}  // namespace

void add_prepare_command(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "prepare",
      "Fill data.frame_cache ahead of a run; several machines may do so at once, and what is there "
      "is skipped");
  command->add_option("CONFIG", arguments->config, "JSON file (see `streamo config`)")->required();
  command->add_option("OVERRIDES", arguments->overrides,
                      "key=value, as in data.frame_cache=/scratch/frames");
  command
      ->add_option("--num-workers", arguments->num_workers,
                   "Videos decoded at the same time; each is held in memory")
      ->capture_default_str()
      ->transform(whole_number(1, 1024));
  command->callback([arguments] { prepare(*arguments); });
}

}  // namespace streamo::app
