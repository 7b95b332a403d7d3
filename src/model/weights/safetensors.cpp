// Memory-maps for lazy access and preads for bulk loading: a read error is then an exception, where
// a fault in the mapping would be a SIGBUS.
#include "model/weights/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/io/system_error.h"
#include "core/suggest.h"
#include "streamo/core/error.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using torch::Tensor;

static_assert(std::endian::native == std::endian::little,
              "the format is little-endian and is mapped as it is");

constexpr int64_t kPieceBytes = 8 << 20;

constexpr torch::ScalarType kScalarTypes[] = {  // in the order of Dtype
    torch::kDouble, torch::kFloat, torch::kHalf, torch::kBFloat16, torch::kLong,
    torch::kInt,    torch::kShort, torch::kChar, torch::kByte,     torch::kBool};

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw core::Error(core::ErrorKind::kModel, what, path.string(),
                    "give a safetensors file that is whole, its weights in bf16, fp16 or fp32");
}

std::string_view raw_bytes(const Tensor& host) {
  return {static_cast<const char*>(host.data_ptr()), static_cast<size_t>(host.nbytes())};
}

}  // namespace

torch::ScalarType scalar_type(Dtype dtype) {
  return kScalarTypes[static_cast<size_t>(dtype)];
}

Dtype safetensors_dtype(torch::ScalarType type) {
  const auto* found = std::find(std::begin(kScalarTypes), std::end(kScalarTypes), type);
  STREAMO_CHECK(found != std::end(kScalarTypes), "a dtype that safetensors does not have");
  return static_cast<Dtype>(found - std::begin(kScalarTypes));
}

// The open file too: reading says when it has become shorter, where touching the mapping kills.
struct SafetensorsFile::Mapping {
  fs::path path;
  int fd;
  const char* data = nullptr;
  size_t bytes = 0;

  explicit Mapping(const fs::path& file)
      : path(file), fd(core::system_call("read.open", [&] {  // O_NONBLOCK: a pipe must not block
          return ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        })) {
    try {
      map();
    } catch (...) {
      if (fd >= 0) ::close(fd);
      throw;
    }
  }
  ~Mapping() {
    ::munmap(const_cast<char*>(data), bytes);
    ::close(fd);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  core::Error failed(const char* what) const {
    return core::system_error(errno, what, path.string(), core::ErrorKind::kModel);
  }

  void map() {
    struct stat info = {};
    if (fd < 0 || ::fstat(fd, &info) != 0) throw failed("cannot open");
    if (!S_ISREG(info.st_mode)) refuse(path, "not a regular file");
    bytes = static_cast<size_t>(info.st_size);
    if (bytes < 8) refuse(path, fmt::format("{} bytes, too short for a header", bytes));
    void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped == MAP_FAILED) throw failed("cannot map");
    data = static_cast<const char*>(mapped);
  }

  void read(void* to, size_t count, uint64_t offset) const {
    auto* next = static_cast<char*>(to);
    while (count > 0) {
      const ssize_t got = core::system_call(
          "read.bytes", [&] { return ::pread(fd, next, count, static_cast<off_t>(offset)); });
      if (got < 0) throw failed("cannot read");
      if (got == 0) refuse(path, "has become shorter while it was read");
      next += got;
      count -= static_cast<size_t>(got);
      offset += static_cast<uint64_t>(got);
    }
  }
};

SafetensorsFile::SafetensorsFile(const fs::path& path) : mapping_(std::make_shared<Mapping>(path)) {
  auto header = parse_safetensors_header({mapping_->data, mapping_->bytes});
  if (!header) refuse(path, header.reason());
  header_ = std::make_shared<const SafetensorsHeader>(*std::move(header));
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const uint32_t index : header_->by_name) names.push_back(header_->tensors[index].name);
  return names;
}

const TensorEntry& SafetensorsFile::entry(const std::string& name) const {
  const TensorEntry* found = header_->find(name);
  if (found == nullptr) {
    throw core::Error(core::ErrorKind::kModel, "no tensor named " + name, mapping_->path.string(),
                      core::suggestion(name, names()));
  }
  return *found;
}

Tensor SafetensorsFile::tensor(const std::string& name) const {
  const TensorEntry& tensor = entry(name);
  auto* data = const_cast<char*>(mapping_->data + header_->data_begin + tensor.begin);
  const auto options = torch::TensorOptions(scalar_type(tensor.dtype));
  if (reinterpret_cast<uintptr_t>(data) % dtype_bytes(tensor.dtype) != 0) {  // allowed, rare
    Tensor copy = torch::empty(tensor.shape, options);
    std::copy_n(data, tensor.end - tensor.begin, static_cast<char*>(copy.data_ptr()));
    return copy;
  }
  return torch::from_blob(
      data, tensor.shape, [keep = mapping_](void*) {}, options);
}

void SafetensorsFile::read_pieces(const std::string& name,
                                  const std::function<void(int64_t, const Tensor&)>& use) const {
  const TensorEntry& tensor = entry(name);
  const auto size = static_cast<int64_t>(dtype_bytes(tensor.dtype));
  const int64_t elements = tensor.elements();
  const int64_t step = std::min(kPieceBytes / size, elements);
  const Tensor piece = torch::empty({step}, scalar_type(tensor.dtype));
  for (int64_t first = 0; first < elements; first += step) {
    const Tensor part = piece.slice(0, 0, std::min(step, elements - first));
    mapping_->read(part.data_ptr(), static_cast<size_t>(part.nbytes()),
                   header_->data_begin + tensor.begin + static_cast<uint64_t>(first * size));
    use(first, part);
  }
}

void SafetensorsFile::read_into(const std::string& name, Tensor& to) const {
  const TensorEntry& tensor = entry(name);
  STREAMO_CHECK(to.sizes() == tensor.shape && to.is_contiguous(), "a tensor to read into");
  if (to.is_cpu() && to.scalar_type() == scalar_type(tensor.dtype)) {
    mapping_->read(to.data_ptr(), static_cast<size_t>(to.nbytes()),
                   header_->data_begin + tensor.begin);
    return;
  }
  const Tensor flat = to.detach().view(-1);
  read_pieces(name, [&](int64_t first, const Tensor& piece) {
    flat.slice(0, first, first + piece.size(0)).copy_(piece);
  });
}

void write_safetensors(const fs::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const TensorToWrite& item : tensors) {
    const uint64_t bytes = static_cast<uint64_t>(item.tensor.numel()) * dtype_bytes(item.dtype);
    header[item.name] = {{"dtype", dtype_name(item.dtype)},
                         {"shape", item.tensor.sizes().vec()},
                         {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // so that the data are aligned
  const uint64_t header_bytes = text.size();
  core::AtomicWriter writer(path);
  writer.write({reinterpret_cast<const char*>(&header_bytes), 8});
  writer.write(text);
  for (const TensorToWrite& item : tensors) {
    const Tensor flat = item.tensor.detach().contiguous().view(-1);
    const int64_t step = kPieceBytes / static_cast<int64_t>(flat.element_size());
    for (int64_t first = 0; first < flat.size(0); first += step) {
      const Tensor part = flat.slice(0, first, std::min(first + step, flat.size(0)));
      const Tensor host = part.to(torch::kCPU, scalar_type(item.dtype));
      writer.write(raw_bytes(host));
    }
  }
  writer.commit();
}

void write_safetensors(const fs::path& path, const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorToWrite> ordered;
  for (const auto& [name, tensor] : tensors) {
    ordered.push_back({name, tensor, safetensors_dtype(tensor.scalar_type())});
  }
  write_safetensors(path, ordered, metadata);
}

}  // namespace streamo::model
