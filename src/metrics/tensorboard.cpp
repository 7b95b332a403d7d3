// Writes TensorBoard event files.
#include "metrics/tensorboard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>

#include "core/io/system_error.h"

namespace streamo::metrics {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  constexpr uint32_t kReversedPolynomial = 0x82F63B78;
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1U) != 0 ? (crc >> 1) ^ kReversedPolynomial : crc >> 1;
    }
    table[byte] = crc;
  }
  return table;
}

template <typename Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(value); ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

// ---- protobuf wire format: a field is a key (number << 3 | wire type) and its value ----

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}

std::string key(uint32_t number, uint32_t wire_type) {
  return varint(number << 3 | wire_type);
}

std::string varint_field(uint32_t number, int64_t value) {
  return key(number, 0) + varint(static_cast<uint64_t>(value));
}

std::string double_field(uint32_t number, double value) {
  return key(number, 1) + little_endian(std::bit_cast<uint64_t>(value));
}

std::string bytes_field(uint32_t number, std::string_view value) {
  return key(number, 2) + varint(value.size()) + std::string(value);
}

std::string float_field(uint32_t number, float value) {
  return key(number, 5) + little_endian(std::bit_cast<uint32_t>(value));
}

// Field numbers of tensorflow.Event, Summary, Summary.Value and SessionLog.
constexpr uint32_t kEventWallTime = 1, kEventStep = 2, kEventFileVersion = 3, kEventSummary = 5,
                   kEventSessionLog = 7;
constexpr uint32_t kSummaryValue = 1, kValueTag = 1, kValueSimple = 2, kSessionStatus = 1;
constexpr int64_t kSessionStart = 1;

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string event_header(int64_t step) {
  return double_field(kEventWallTime, unix_seconds()) + varint_field(kEventStep, step);
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

// TensorBoard reads files in the order of their names, so a start within the same second takes the
// next.
std::filesystem::path create_file(const std::filesystem::path& folder) {
  for (auto seconds = static_cast<int64_t>(unix_seconds());; ++seconds) {
    const auto path = folder / fmt::format("events.out.tfevents.{:010}.{}", seconds, host_name());
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0) {
      ::close(fd);
      return path;
    }
    if (errno != EEXIST)
      throw core::system_error(errno, "cannot create the TensorBoard file", path.string());
  }
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = make_crc_table();
  uint32_t crc = 0xFFFFFFFF;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(c)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

uint32_t masked_crc32c(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xA282EAD8;
}

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& folder, int64_t resume_step)
    : file_(create_file(folder)) {
  write_record(double_field(kEventWallTime, unix_seconds()) +
               bytes_field(kEventFileVersion, "brain.Event:2"));
  if (resume_step > 0) {
    write_record(event_header(resume_step + 1) +
                 bytes_field(kEventSessionLog, varint_field(kSessionStatus, kSessionStart)));
  }
}

void TensorBoardWriter::write(int64_t step,
                              const std::vector<std::pair<std::string, double>>& scalars) {
  std::string summary;
  for (const auto& [tag, number] : scalars) {
    summary +=
        bytes_field(kSummaryValue, bytes_field(kValueTag, tag) +
                                       float_field(kValueSimple, static_cast<float>(number)));
  }
  write_record(event_header(step) + bytes_field(kEventSummary, summary));
}

void TensorBoardWriter::write_record(std::string_view payload) {
  const std::string length = little_endian(static_cast<uint64_t>(payload.size()));
  std::string record = length + little_endian(masked_crc32c(length));
  record += payload;
  record += little_endian(masked_crc32c(payload));
  file_.append(record);
}

}  // namespace streamo::metrics
