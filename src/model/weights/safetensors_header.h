// What a safetensors file says about itself, checked before a byte of its data is used. Free of
// LibTorch, so that it can be fuzzed alone.
//
// The format (https://github.com/huggingface/safetensors#format): 8 bytes little-endian length of
// the header; the header, a JSON object of tensor name -> {dtype, shape, data_offsets} and
// optionally "__metadata__" -> {text: text}, padded with spaces; the data of the tensors, without
// gap or overlap.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "streamo/core/error.h"

namespace streamo::model {

// The types that are read. A file with any other (F8_E4M3, U32, ...) is refused.
enum class Dtype : uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

std::string_view dtype_name(Dtype dtype);  // as in the file: "BF16"
uint64_t dtype_bytes(Dtype dtype);         // of one element

struct TensorEntry {
  std::string name;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // bytes, counted from the first byte of the data
  Dtype dtype = Dtype::kF32;

  int64_t elements() const;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // in the order of their data
  std::map<std::string, std::string> metadata;
  uint64_t data_begin = 0;  // bytes, counted from the first byte of the file

  const TensorEntry* find(std::string_view name) const;  // null: no tensor of that name

  std::vector<uint32_t> by_name;  // indices into `tensors`, names ascending
};

// `file`: the whole file. Reads the length and the header, no data; what is returned is true of
// every byte of the file. The Fault says what is wrong, without the file's name. Memory is bounded
// by the length of the header, of which more than 100 MB (the limit of the reference
// implementation) are refused; nesting and numbers by what the format allows.
core::Result<SafetensorsHeader> parse_safetensors_header(std::string_view file);

}  // namespace streamo::model
