// A run folder that someone else wrote: a report without a script of theirs, or an Error{kData}. An
// input is its metrics.jsonl, config.json, eval-1.json, best/best.json and skipped.jsonl, with zero
// bytes in between.
#include <fstream>

#include "core/io/file.h"
#include "core/io/scratch_folder.h"
#include "fuzz/fuzz.h"
#include "report/report.h"
#include "streamo/core/error.h"

namespace streamo {

FUZZ_TARGET(run_folder, 300) {
  static const core::ScratchFolder scratch;
  std::filesystem::create_directory(scratch.path() / "best");
  for (const char* name :
       {"metrics.jsonl", "config.json", "eval-1.json", "best/best.json", "skipped.jsonl"})
    std::ofstream(scratch.path() / name, std::ios::binary) << fuzz::take_part(input);
  try {
    report::write_report(scratch.path());
    const std::string page = core::read_file(scratch.path() / "report.html");
    fuzz::require(page.find("<script") == std::string::npos);
  } catch (const core::Error& error) {
    fuzz::require(error.kind() == core::ErrorKind::kData);
  }
}

}  // namespace streamo
