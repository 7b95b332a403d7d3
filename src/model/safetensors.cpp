#include "streamo/model/safetensors.h"

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
#include <optional>
#include <set>

#include "streamo/core/error.h"
#include "streamo/core/file.h"
#include "streamo/core/suggest.h"

namespace streamo::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little,
              "the format is little-endian and is mapped as it is");

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation

struct DtypeName {
  const char* name;
  torch::ScalarType dtype;
};
constexpr DtypeName kDtypes[] = {{"F64", torch::kDouble}, {"F32", torch::kFloat},
                                 {"F16", torch::kHalf},   {"BF16", torch::kBFloat16},
                                 {"I64", torch::kLong},   {"I32", torch::kInt},
                                 {"I16", torch::kShort},  {"I8", torch::kChar},
                                 {"U8", torch::kByte},    {"BOOL", torch::kBool}};

std::optional<torch::ScalarType> dtype_of(const std::string& name) {
  for (const DtypeName& entry : kDtypes) {
    if (name == entry.name) return entry.dtype;
  }
  return std::nullopt;
}

const char* name_of(torch::ScalarType dtype) {
  for (const DtypeName& entry : kDtypes) {
    if (dtype == entry.dtype) return entry.name;
  }
  STREAMO_CHECK(false, "a dtype that safetensors does not have");
}

// Bytes of a tensor, nullopt when the product does not fit: a hostile shape must not wrap around.
std::optional<uint64_t> checked_bytes(const std::vector<int64_t>& shape, uint64_t element_size) {
  uint64_t bytes = element_size;
  for (const int64_t side : shape) {
    if (side < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(side), &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

// The library keeps the last of two equal keys without a word; here that would hide a tensor.
Json parse_refusing_doubled_names(std::string_view text, std::string* doubled) {
  std::vector<std::set<std::string>> open_objects;
  const auto callback = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key &&
        !open_objects.back().insert(parsed.get<std::string>()).second) {
      *doubled = parsed.get<std::string>();
    }
    return true;
  };
  return Json::parse(text, callback, /*allow_exceptions=*/false);
}

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw core::Error(core::ErrorKind::kModel, what, path.string(),
                    "the file is damaged or not safetensors");
}

struct Span {  // bytes of a tensor, counted from the end of the header
  uint64_t begin, end;
};

struct Description {
  torch::ScalarType dtype;
  std::vector<int64_t> shape;
  Span span;
};

struct Malformed {
  std::string why;
};

// One entry of the header. Throws Malformed, or what the JSON library throws.
Description describe(const Json& entry, uint64_t data_bytes) {
  const auto dtype = dtype_of(entry.at("dtype").get<std::string>());
  if (!dtype) throw Malformed{"unknown dtype " + entry.at("dtype").dump()};
  const Json &shape = entry.at("shape"), &offsets = entry.at("data_offsets");
  for (const Json* list : {&shape, &offsets}) {  // the library would convert 1.5 and -1 in silence
    for (const Json& number : *list) {
      if (!list->is_array() || !number.is_number_unsigned())
        throw Malformed{"bad number " + number.dump()};
    }
  }
  const auto sides = shape.get<std::vector<int64_t>>();
  const auto span = offsets.get<std::vector<uint64_t>>();
  const auto bytes = checked_bytes(sides, c10::elementSize(*dtype));
  if (span.size() != 2 || span[0] > span[1] || span[1] > data_bytes || bytes != span[1] - span[0]) {
    throw Malformed{fmt::format("offsets {} do not fit shape {} in {} bytes of data",
                                offsets.dump(), shape.dump(), data_bytes)};
  }
  return {*dtype, sides, {span[0], span[1]}};
}

// Whether the tensors follow each other without gap or overlap, to the very end.
bool tiles(std::vector<Span> spans, uint64_t data_bytes) {
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t end = 0;
  for (const Span& span : spans) {
    if (span.begin != end) return false;
    end = span.end;
  }
  return end == data_bytes;
}

}  // namespace

struct SafetensorsFile::Mapping {
  const uint8_t* data = nullptr;
  size_t bytes = 0;

  explicit Mapping(const fs::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info = {};
    if (fd < 0 || ::fstat(fd, &info) != 0) {
      const std::string reason = std::strerror(errno);
      if (fd >= 0) ::close(fd);
      throw core::Error(core::ErrorKind::kModel, "cannot open: " + reason, path.string(),
                        "check the path");
    }
    bytes = static_cast<size_t>(info.st_size);
    void* mapped = bytes < 8 ? MAP_FAILED : ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    const std::string reason = std::strerror(errno);
    ::close(fd);
    if (bytes < 8) refuse(path, fmt::format("{} bytes, too short for a header", bytes));
    if (mapped == MAP_FAILED) refuse(path, "cannot map: " + reason);
    data = static_cast<const uint8_t*>(mapped);
  }
  ~Mapping() {
    if (data != nullptr) ::munmap(const_cast<uint8_t*>(data), bytes);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
};

SafetensorsFile::SafetensorsFile(const fs::path& path) : mapping_(std::make_shared<Mapping>(path)) {
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, mapping_->data, 8);
  if (header_bytes > kMaxHeaderBytes || header_bytes > mapping_->bytes - 8) {
    refuse(path, fmt::format("header of {} bytes in a file of {}", header_bytes, mapping_->bytes));
  }
  const std::string_view text(reinterpret_cast<const char*>(mapping_->data) + 8, header_bytes);
  std::string doubled;
  const Json header = parse_refusing_doubled_names(text, &doubled);
  if (!doubled.empty()) refuse(path, "tensor " + doubled + " is there twice");
  if (!header.is_object()) refuse(path, "the header is not a JSON object");

  const uint64_t data_begin = 8 + header_bytes, data_bytes = mapping_->bytes - data_begin;
  std::vector<Span> spans;
  for (const auto& [name, entry] : header.items()) {
    try {
      if (name == "__metadata__") {
        metadata_ = entry.get<std::map<std::string, std::string>>();
        continue;
      }
      const Description tensor = describe(entry, data_bytes);
      entries_[name] = {tensor.dtype, tensor.shape, data_begin + tensor.span.begin,
                        tensor.span.end - tensor.span.begin};
      spans.push_back(tensor.span);
    } catch (const Malformed& malformed) {
      refuse(path, "tensor " + name + ": " + malformed.why);
    } catch (const nlohmann::json::exception&) {
      refuse(path, "tensor " + name + ": malformed entry " + entry.dump());
    }
  }
  if (!tiles(std::move(spans), data_bytes)) {
    refuse(path, fmt::format("gap or overlap between tensors in {} bytes of data", data_bytes));
  }
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

bool SafetensorsFile::contains(const std::string& name) const {
  return entries_.contains(name);
}

torch::Tensor SafetensorsFile::tensor(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    throw core::Error(core::ErrorKind::kModel, "no tensor named " + name, "",
                      core::suggestion(name, names()));
  }
  const Entry& entry = found->second;
  auto* data = const_cast<uint8_t*>(mapping_->data + entry.offset);
  const auto options = torch::TensorOptions(entry.dtype);
  const bool aligned = reinterpret_cast<uintptr_t>(data) % c10::elementSize(entry.dtype) == 0;
  if (!aligned) {  // allowed by the format, rare
    torch::Tensor copy = torch::empty(entry.shape, options);
    std::copy_n(data, entry.bytes, static_cast<uint8_t*>(copy.data_ptr()));  // none of an empty one
    return copy;
  }
  return torch::from_blob(
      data, entry.shape, [keep = mapping_](void*) {}, options);
}

void write_safetensors(const fs::path& path, const std::map<std::string, torch::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto bytes = static_cast<uint64_t>(tensor.nbytes());
    header[name] = {{"dtype", name_of(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // so that the data are aligned
  const uint64_t header_bytes = text.size();
  core::AtomicWriter writer(path);
  writer.write({reinterpret_cast<const char*>(&header_bytes), 8});
  writer.write(text);
  for (const auto& [name, tensor] : tensors) {
    const torch::Tensor host = tensor.detach().cpu().contiguous();
    writer.write({static_cast<const char*>(host.data_ptr()), static_cast<size_t>(host.nbytes())});
  }
  writer.commit();
}

}  // namespace streamo::model
