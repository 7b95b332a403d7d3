// safetensors files as tensors. The format and its checks: safetensors_header.h.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/weights/safetensors_header.h"

namespace streamo::model {

torch::ScalarType scalar_type(Dtype dtype);
Dtype safetensors_dtype(torch::ScalarType type);  // STREAMO_CHECKs that the format has it

// Maps the file and checks the whole header before a byte of the data is used. Throws
// core::Error{kModel} naming file and tensor.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  std::vector<std::string> names() const;  // ascending
  bool contains(const std::string& name) const { return find(name) != nullptr; }
  const TensorEntry* find(const std::string& name) const { return header_->find(name); }
  const std::vector<TensorEntry>& entries() const { return header_->tensors; }  // in file order
  const std::map<std::string, std::string>& metadata() const { return header_->metadata; }

  // A view of the mapped file (read-only: clone before writing); keeps the mapping alive. Only as
  // good as the file: who overwrites it in place changes the view, who truncates it kills the
  // process. For what is kept, use read_into.
  torch::Tensor tensor(const std::string& name) const;

  // Copies a tensor into `to` (same shape; any floating type, any device), converting, through a
  // few megabytes of memory: neither the mapping nor a second copy grows with the tensor. Throws
  // core::Error{kModel} when the file has become shorter meanwhile.
  void read_into(const std::string& name, torch::Tensor& to) const;

  // The values of a tensor in order, piece by piece: `use` gets the number of the first one and up
  // to some megabytes of them, [n] on the CPU in the file's type, to be used before it returns.
  void read_pieces(const std::string& name,
                   const std::function<void(int64_t, const torch::Tensor&)>& use) const;

 private:
  struct Mapping;
  const TensorEntry& entry(const std::string& name) const;

  std::shared_ptr<Mapping> mapping_;
  std::shared_ptr<const SafetensorsHeader> header_;
};

struct TensorToWrite {
  std::string name;
  torch::Tensor tensor;  // any device
  Dtype dtype;           // in the file
};

// Tensors in the given order, converted piece by piece while they are written, atomically. Throws
// core::Error{kDisk}.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata);

// Each in its own type, in name order.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, torch::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace streamo::model
