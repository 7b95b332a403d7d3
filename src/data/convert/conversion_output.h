// What both conversions share: the output file in the input's layout, the report, the order of the
// samples.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "core/io/file.h"
#include "core/log.h"
#include "data/convert/convert.h"
#include "data/formats/record_file.h"
#include "data/loading/ordered_pipeline.h"
#include "streamo/core/error.h"

namespace streamo::data {

struct Converted {
  std::string text;  // the record as one line of JSON
  int64_t turns = 0;
  ConversionLosses losses;
};

// Takes the results in order and writes them.
class ConversionOutput {
 public:
  ConversionOutput(const RecordFile& input, const std::filesystem::path& output);

  void add(size_t index, core::Result<Converted> result);
  // Publishes the report and, if there is anything in it, the output; says on stderr what was lost.
  // Throws core::Error{kData} when every sample was skipped.
  ConversionReport finish();

 private:
  void write_record(const std::string& text);
  void say_what_was_lost() const;

  const RecordFile& input_;
  std::filesystem::path path_;
  core::AtomicWriter writer_;
  ConversionReport report_;
};

// Every record of `input`, in its order, with a progress bar: claim(i) in order, convert(claimed)
// -> Result<Converted> on `num_workers` threads.
template <typename Claim, typename Convert>
ConversionReport convert_records(const RecordFile& input, const std::filesystem::path& output_path,
                                 int num_workers, const Claim& claim, const Convert& convert) {
  ConversionOutput output(input, output_path);
  core::ProgressBar progress("converting", static_cast<int64_t>(input.size()));
  ordered_pipeline(input.size(), num_workers, claim, convert,
                   [&](size_t index, core::Result<Converted> result) {
                     output.add(index, std::move(result));
                     progress.advance();
                   });
  return output.finish();
}

// The records, which must be there. Throws core::Error{kData}.
void require_records(const RecordFile& input);

// `path` so that a reader finds it from the folder of `output`: as it is where that works, relative
// to that folder where the file is below it, else absolute. Absolute paths stay.
std::string path_seen_from(const std::filesystem::path& output, const std::filesystem::path& path);

// One line of JSON. Throws core::Error{kUsage} for text that is not UTF-8, which came from the
// command line.
std::string to_line(const Conversation& conversation);

}  // namespace streamo::data
