// A SAX parser of exactly the header grammar, then the checks on offsets: no gap, no overlap, no
// product that overflows.
#include "model/weights/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "core/json/dump_json.h"
#include "core/json/json.h"

namespace streamo::model {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as the reference implementation has it
constexpr int64_t kMaxElements = std::numeric_limits<int64_t>::max();
constexpr const char* kMetadata = "__metadata__";

struct DtypeRow {
  std::string_view name;
  uint64_t bytes;
};
constexpr DtypeRow kDtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                                {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};

std::optional<Dtype> safetensors_dtype(std::string_view name) {
  for (size_t i = 0; i < std::size(kDtypes); ++i) {
    if (name == kDtypes[i].name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

// In quotes, control characters escaped: the text of a hostile file goes to a terminal.
std::string shown(std::string_view text) {
  constexpr size_t kShown = 200;
  const std::string quoted = core::dump_json(Json(std::string(text.substr(0, kShown))));
  return text.size() > kShown ? quoted + "..." : quoted;
}

// Whether the sides can be multiplied. Empty sides do not excuse the others: strides are products
// of sides as well.
bool product_fits(const std::vector<int64_t>& shape) {
  int64_t product = 1;
  for (const int64_t side : shape) {
    if (__builtin_mul_overflow(product, std::max<int64_t>(side, 1), &product)) return false;
  }
  return true;
}

// Takes exactly the grammar of the format from the JSON parser's events, so that no document is
// built of whatever else a file holds: deep nesting ends at the first bracket too many.
class HeaderReader final : public core::JsonEvents {
 public:
  explicit HeaderReader(SafetensorsHeader& header) : header_(header) {}

  const std::string& complaint() const { return complaint_; }

  bool start_object(size_t /*size*/) override {
    if (at_ == At::kStart) return enter(At::kHeader);
    if (at_ != At::kHeader) return unexpected("an object");
    if (entry_.name == kMetadata) return enter(At::kMetadata);
    return enter(At::kEntry);
  }
  bool end_object() override {
    if (at_ == At::kHeader) return enter(At::kEnd);
    if (at_ == At::kEntry && !finish_entry()) return false;
    return enter(At::kHeader);
  }
  bool start_array(size_t /*size*/) override {
    if (at_ == At::kEntry && field_ == "shape") return enter(At::kShape);
    if (at_ == At::kEntry && field_ == "data_offsets") return enter(At::kOffsets);
    return unexpected("a list");
  }
  bool end_array() override { return enter(At::kEntry); }

  bool key(std::string& key) override {
    if (at_ == At::kHeader) return begin_entry(key);
    field_ = key;
    if (at_ == At::kMetadata) {
      return header_.metadata.emplace(key, "").second ||
             refuse(fmt::format("metadata {} is there twice", shown(key)));
    }
    bool* const seen = key == "dtype"          ? &has_dtype_
                       : key == "shape"        ? &has_shape_
                       : key == "data_offsets" ? &has_offsets_
                                               : nullptr;
    if (seen == nullptr) return refuse_entry("has an unknown field " + shown(key));
    if (*seen) return refuse_entry(key + " is there twice");
    return *seen = true;
  }
  bool string(std::string& value) override {
    if (at_ == At::kMetadata) {
      header_.metadata[field_] = std::move(value);
      return true;
    }
    if (at_ != At::kEntry || field_ != "dtype") return unexpected(shown(value));
    const auto dtype = safetensors_dtype(value);
    if (value.starts_with("F8_"))
      return refuse_entry("FP8 is not supported, dtype " + shown(value));
    if (!dtype) return refuse_entry(fmt::format("dtype {} is not supported", shown(value)));
    entry_.dtype = *dtype;
    return true;
  }
  bool number_unsigned(uint64_t value) override {
    if (at_ == At::kOffsets) {
      offsets_.push_back(value);
      return offsets_.size() <= 2 || refuse_entry("data_offsets are not two");
    }
    if (at_ != At::kShape || value > static_cast<uint64_t>(kMaxElements)) {
      return bad_number(std::to_string(value));
    }
    entry_.shape.push_back(static_cast<int64_t>(value));
    return true;
  }
  bool number_integer(int64_t value) override { return bad_number(std::to_string(value)); }
  bool number_float(double /*value*/, const std::string& text) override {
    return bad_number(text.substr(0, kShownDigits));
  }
  bool null() override { return unexpected("null"); }
  bool boolean(bool /*value*/) override { return unexpected("true or false"); }
  bool binary(Json::binary_t& /*value*/) override { return unexpected("binary"); }
  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return refuse(fmt::format("the header is not JSON at its byte {}", position));
  }

 private:
  enum class At { kStart, kHeader, kEntry, kShape, kOffsets, kMetadata, kEnd };
  static constexpr size_t kShownDigits = 40;

  bool enter(At at) {
    at_ = at;
    return true;
  }
  bool refuse(std::string complaint) {
    complaint_ = std::move(complaint);
    return false;
  }
  bool refuse_entry(const std::string& complaint) {
    return refuse(fmt::format("tensor {}: {}", shown(entry_.name), complaint));
  }
  bool unexpected(const std::string& what) {
    if (at_ == At::kStart) return refuse("the header is not a JSON object");
    return refuse_entry("malformed, " + what + " where the format has none");
  }
  bool bad_number(const std::string& number) {
    if (at_ != At::kShape && at_ != At::kOffsets) return unexpected(number);
    return refuse_entry("bad number " + number);
  }
  bool begin_entry(const std::string& name) {
    entry_ = {};
    entry_.name = name;
    offsets_.clear();
    has_dtype_ = has_shape_ = has_offsets_ = false;
    if (name != kMetadata) return true;
    if (has_metadata_) return refuse("__metadata__ is there twice");
    return has_metadata_ = true;
  }
  bool finish_entry() {
    if (!has_dtype_ || !has_shape_ || !has_offsets_ || offsets_.size() != 2) {
      return refuse_entry("malformed, it needs a dtype, a shape and two data_offsets");
    }
    entry_.begin = offsets_[0];
    entry_.end = offsets_[1];
    uint64_t bytes = 0;
    const bool fits = product_fits(entry_.shape) &&
                      !__builtin_mul_overflow(static_cast<uint64_t>(entry_.elements()),
                                              dtype_bytes(entry_.dtype), &bytes);
    if (!fits || entry_.begin > entry_.end || entry_.end - entry_.begin != bytes) {
      return refuse_entry(fmt::format("data_offsets [{}, {}] do not fit {} of shape {}",
                                      entry_.begin, entry_.end, dtype_name(entry_.dtype),
                                      Json(entry_.shape).dump()));
    }
    entry_.shape.shrink_to_fit();  // there may be a million of them
    header_.tensors.push_back(std::move(entry_));
    return true;
  }

  SafetensorsHeader& header_;
  At at_ = At::kStart;
  TensorEntry entry_;
  std::string field_, complaint_;
  std::vector<uint64_t> offsets_;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false, has_metadata_ = false;
};

// Empty when the tensors, which are sorted by place, fill the data without gap or overlap.
std::string complaint_about_places(const std::vector<TensorEntry>& tensors, uint64_t data_bytes) {
  uint64_t end = 0;
  const TensorEntry* before = nullptr;
  for (const TensorEntry& tensor : tensors) {
    if (tensor.begin < end) {
      return fmt::format("tensors {} and {} overlap", shown(before->name), shown(tensor.name));
    }
    if (tensor.begin > end) {
      return fmt::format("gap of {} bytes before tensor {}", tensor.begin - end,
                         shown(tensor.name));
    }
    end = tensor.end;
    before = &tensor;
  }
  if (end > data_bytes) {
    return fmt::format("cut short: its tensors take {} bytes, {} are there", end, data_bytes);
  }
  if (end < data_bytes)
    return fmt::format("{} bytes at the end belong to no tensor", data_bytes - end);
  return "";
}

// Empty when no name is there twice. Fills by_name.
std::string complaint_about_names(SafetensorsHeader& header) {
  const std::vector<TensorEntry>& tensors = header.tensors;
  header.by_name.resize(tensors.size());
  std::iota(header.by_name.begin(), header.by_name.end(), 0U);
  std::sort(header.by_name.begin(), header.by_name.end(),
            [&](uint32_t a, uint32_t b) { return tensors[a].name < tensors[b].name; });
  for (size_t i = 1; i < header.by_name.size(); ++i) {
    const std::string& name = tensors[header.by_name[i]].name;
    if (name == tensors[header.by_name[i - 1]].name)
      return "tensor " + shown(name) + " is there twice";
  }
  return "";
}

}  // namespace

std::string_view dtype_name(Dtype dtype) {
  return kDtypes[static_cast<size_t>(dtype)].name;
}

uint64_t dtype_bytes(Dtype dtype) {
  return kDtypes[static_cast<size_t>(dtype)].bytes;
}

int64_t TensorEntry::elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

const TensorEntry* SafetensorsHeader::find(std::string_view name) const {
  const auto place = std::lower_bound(
      by_name.begin(), by_name.end(), name,
      [&](uint32_t index, std::string_view wanted) { return tensors[index].name < wanted; });
  if (place == by_name.end() || tensors[*place].name != name) return nullptr;
  return &tensors[*place];
}

core::Result<SafetensorsHeader> parse_safetensors_header(std::string_view file) {
  uint64_t header_bytes = 0;
  if (file.size() < sizeof header_bytes) {
    return core::Fault{fmt::format("{} bytes, too short for a header", file.size())};
  }
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes || header_bytes > file.size() - sizeof header_bytes) {
    return core::Fault{
        fmt::format("header of {} bytes in a file of {}", header_bytes, file.size())};
  }
  const std::string_view text = file.substr(sizeof header_bytes, header_bytes);
  if (!text.starts_with('{')) return core::Fault{"the header is not a JSON object"};
  SafetensorsHeader header;
  header.data_begin = sizeof header_bytes + header_bytes;
  HeaderReader reader(header);
  // A tensor is written in some 60 bytes and read as half a dozen values.
  if (const auto refused = core::scan_json(text, reader, {.max_bytes = 2 * kMaxHeaderBytes})) {
    if (!reader.complaint().empty()) return core::Fault{reader.complaint()};
    return core::Fault{
        fmt::format("{} in the header, {}", refused->what, core::place_in(text, refused->byte))};
  }
  std::stable_sort(header.tensors.begin(), header.tensors.end(),
                   [](const TensorEntry& a, const TensorEntry& b) {
                     return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
                   });
  std::string complaint = complaint_about_names(header);
  if (complaint.empty()) {
    complaint = complaint_about_places(header.tensors, file.size() - header.data_begin);
  }
  if (!complaint.empty()) return core::Fault{complaint};
  return header;
}

}  // namespace streamo::model
