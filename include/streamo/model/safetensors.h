// The safetensors file format: an 8-byte little-endian header length, a JSON header, raw tensors.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace streamo::model {

// Maps the file and checks the whole header (length, types, shapes, offsets without gap or overlap)
// before a byte is used. Throws core::Error{kModel} naming file and tensor.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  std::vector<std::string> names() const;  // sorted
  bool contains(const std::string& name) const;
  // A view of the mapped file (read-only: clone before writing); keeps the mapping alive.
  torch::Tensor tensor(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Entry {
    torch::ScalarType dtype;
    std::vector<int64_t> shape;
    size_t offset, bytes;
  };
  struct Mapping;
  std::shared_ptr<Mapping> mapping_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

// Tensors in name order, atomically. Throws core::Error{kDisk}.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, torch::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace streamo::model
