// streamo doctor: describes this machine in a few lines, for a bug report.
extern "C" {
#include <libavcodec/version.h>
}
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <filesystem>

#include "app/command.h"
#include "core/print.h"
#include "core/process/machine.h"

namespace streamo::app {
namespace {

void print_report() {
  std::error_code unknown;
  const auto disk = std::filesystem::space(".", unknown);
  constexpr double kGiB = 1 << 30;
  core::print_result("streamo    {}\n", STREAMO_VERSION);
  core::print_result(
      "LibTorch   {}.{}.{}, {}\n", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR, TORCH_VERSION_PATCH,
      torch::cuda::is_available() ? fmt::format("{} GPUs", torch::cuda::device_count())
                                  : "no GPU: training runs on the CPU");
  core::print_result("FFmpeg     libavcodec {}.{}\n", LIBAVCODEC_VERSION_MAJOR,
                     LIBAVCODEC_VERSION_MINOR);
  core::print_result("CPU        {} cores, {} threads for arithmetic\n", core::num_cores(),
                     at::get_num_threads());
  core::print_result("memory     {:.1f} GiB\n", static_cast<double>(core::memory_limit()) / kGiB);
  core::print_result("disk here  {:.1f} GiB free\n", static_cast<double>(disk.available) / kGiB);
}

}  // namespace

void add_doctor_command(CLI::App& app) {
  app.add_subcommand("doctor", "Say what this machine has for a run")->callback(print_report);
}

}  // namespace streamo::app
