// Whatever the bytes, parse_safetensors_header refuses them or describes data that are there.
#include <cstdint>
#include <cstring>
#include <string>

#include "fuzz/fuzz.h"
#include "model/weights/safetensors_header.h"

namespace streamo {
namespace {

using fuzz::require;
using model::SafetensorsHeader;
using model::TensorEntry;

// Of an accepted file: what the loader relies on.
void check(const std::string& file, const SafetensorsHeader& header) {
  require(header.data_begin <= file.size());
  require(header.by_name.size() == header.tensors.size());
  uint64_t end = 0;
  for (const TensorEntry& tensor : header.tensors) {
    require(tensor.begin == end && tensor.begin <= tensor.end);
    end = tensor.end;
    uint64_t bytes = model::dtype_bytes(tensor.dtype);
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

// The first byte says how the rest becomes a file: as it is, or as a header before some data.
FUZZ_TARGET(safetensors, 5000) {
  if (input.empty()) return;
  const auto first = static_cast<unsigned char>(input[0]);
  const std::string rest(input.substr(1));
  const std::string file = first < 32 ? rest : with_length(rest, first - 32U);
  const auto header = model::parse_safetensors_header(file);
  if (header) {
    check(file, *header);
  } else {
    require(!header.reason().empty());
  }
}

}  // namespace streamo
