// Numbers and texts in a row of bytes, as two processes of one program send them to each other:
// laid out as in memory, on the one kind of machine that we run on (x86-64).
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace streamo::core {

class ByteWriter {
 public:
  template <typename Number>
  requires std::is_arithmetic_v<Number>
  void number(Number value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value)); }
  void text(std::string_view text) {
    number(static_cast<uint32_t>(text.size()));
    bytes_ += text;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Throws std::runtime_error where there is less than is asked for: the other end is not believed.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  bool at_end() const { return bytes_.empty(); }
  template <typename Number>
  requires std::is_arithmetic_v<Number> Number number() {
    if constexpr (std::is_same_v<Number, bool>) {
      return number<uint8_t>() != 0;  // any other byte would be no bool
    } else {
      Number value;
      std::memcpy(&value, take(sizeof(value)).data(), sizeof(value));
      return value;
    }
  }
  std::string text() { return std::string(take(number<uint32_t>())); }

 private:
  std::string_view take(size_t size) {
    if (size > bytes_.size()) throw std::runtime_error("a message was cut off");
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

  std::string_view bytes_;
};

}  // namespace streamo::core
