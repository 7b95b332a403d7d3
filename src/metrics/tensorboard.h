// Scalars in TensorBoard's event files, written by hand: a record format and four protobuf fields
// do not justify a dependency.
//
// File = records (tfrecord): uint64 length, masked crc32c of it, payload, masked crc32c of the
// payload; all little-endian. Payload = protobuf tensorflow.Event. Source:
// tensorflow/core/util/event.proto, core/framework/summary.proto, core/lib/io/record_writer.cc.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/io/append_log.h"

namespace streamo::metrics {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4) and the mask tfrecord applies to it.
uint32_t crc32c(std::string_view bytes);
uint32_t masked_crc32c(std::string_view bytes);

class TensorBoardWriter {
 public:
  // Creates events.out.tfevents.<unix time>.<host> in `folder`. With resume_step > 0 it begins with
  // a mark that makes TensorBoard drop what earlier files say about later steps. Throws
  // core::Error{kDisk}.
  TensorBoardWriter(const std::filesystem::path& folder, int64_t resume_step);

  // One event with all values (tag, number) of a step.
  void write(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  void write_record(std::string_view payload);

  core::AppendLog file_;
};

}  // namespace streamo::metrics
