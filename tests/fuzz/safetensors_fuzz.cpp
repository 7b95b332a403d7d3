// Whatever the bytes, parse_safetensors_header refuses them or describes data that are there.
//
//   cmake --preset fuzz && ninja -C build/fuzz safetensors_fuzz
//   build/fuzz/tests/fuzz/safetensors_fuzz -max_total_time=300 -dict=tests/fuzz/safetensors.dict
//   CORPUS_DIR
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "streamo/model/safetensors_header.h"

namespace {

using streamo::model::SafetensorsHeader;
using streamo::model::TensorEntry;

void require(bool holds) {
  if (!holds) std::abort();
}

// Of an accepted file: what the loader relies on.
void check(const std::string& file, const SafetensorsHeader& header) {
  require(header.data_begin <= file.size());
  require(header.by_name.size() == header.tensors.size());
  uint64_t end = 0;
  for (const TensorEntry& tensor : header.tensors) {
    require(tensor.begin == end && tensor.begin <= tensor.end);
    end = tensor.end;
    uint64_t bytes = streamo::model::dtype_bytes(tensor.dtype);
    for (const int64_t side : tensor.shape) {
      require(side >= 0 && !__builtin_mul_overflow(bytes, static_cast<uint64_t>(side), &bytes));
    }
    require(bytes == tensor.end - tensor.begin);
    require(header.find(tensor.name) == &tensor);
  }
  require(header.data_begin + end == file.size());
}

// The length before the header, right: most mutations would end at a wrong one.
std::string with_length(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + std::string(data_bytes, 'x');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // The first byte says how the rest becomes a file: as it is, or as a header before some data.
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string file = data[0] < 32 ? rest : with_length(rest, data[0] - 32U);
  const auto header = streamo::model::parse_safetensors_header(file);
  if (header) {
    check(file, *header);
  } else {
    require(!header.reason().empty());
  }
  return 0;
}
