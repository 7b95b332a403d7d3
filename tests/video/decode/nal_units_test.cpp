// Units of H.264 and HEVC packets and the numbers in them. Truth: bytes written by hand and by a
// small writer of each code (H.264 7.3.1, 9.1; ISO/IEC 14496-15 5.3.3.1, 8.3.3.1).
#include "video/decode/nal_units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace streamo::video {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;
using Unit = std::vector<uint8_t>;

std::vector<Unit> copies(const std::vector<Bytes>& units) {
  std::vector<Unit> all;
  for (const Bytes unit : units) all.emplace_back(unit.begin(), unit.end());
  return all;
}
std::vector<Unit> split_units(const Unit& packet, int length_size) {
  NalUnits units(packet, length_size);
  std::vector<Bytes> all;
  while (const auto unit = units.next()) all.push_back(*unit);
  return copies(all);
}

TEST(NalUnits, AreToldApartByTheirLengths) {
  EXPECT_THAT(split_units({2, 7, 8, 1, 9}, 1), ElementsAre(Unit{7, 8}, Unit{9}));
  EXPECT_THAT(split_units({0, 2, 7, 8, 0, 1, 9}, 2), ElementsAre(Unit{7, 8}, Unit{9}));
  EXPECT_THAT(split_units({0, 0, 0, 1, 7}, 4), ElementsAre(Unit{7}));
}

TEST(NalUnits, AreToldApartByStartCodes) {
  EXPECT_THAT(split_units({0, 0, 1, 7, 8, 0, 0, 1, 9}, 0), ElementsAre(Unit{7, 8}, Unit{9}));
  EXPECT_THAT(split_units({5, 0, 0, 0, 1, 7, 0, 1, 0, 0, 2}, 0),
              ElementsAre(Unit{7, 0, 1, 0, 0, 2}));
}

TEST(NalUnits, ALengthBeyondThePacketEndsIt) {
  EXPECT_THAT(split_units({1, 7, 3, 8, 9}, 1), ElementsAre(Unit{7}));
  EXPECT_THAT(split_units({255, 255, 255, 255, 7}, 4), IsEmpty());
  EXPECT_THAT(split_units({0, 7}, 1), IsEmpty());
  for (const int length_size : {0, 1, 2, 4}) {
    EXPECT_THAT(split_units({}, length_size), IsEmpty());
    EXPECT_THAT(split_units({0}, length_size), IsEmpty());
    EXPECT_THAT(split_units({0, 0, 1}, length_size), IsEmpty());
  }
}

AVCodecParameters parameters(AVCodecID codec, Unit& extradata) {
  AVCodecParameters parameters{};
  parameters.codec_id = codec;
  parameters.extradata = extradata.data();
  parameters.extradata_size = static_cast<int>(extradata.size());
  return parameters;
}

TEST(NalUnits, ParameterSetsStandInTheExtradata) {
  Unit avc = {1, 100, 0, 31, 0xFF, 0xE1, 0, 2, 0x67, 1, 1, 0, 1, 0x68};
  EXPECT_EQ(nal_length_size(parameters(AV_CODEC_ID_H264, avc)), 4);
  EXPECT_THAT(copies(stored_parameter_sets(parameters(AV_CODEC_ID_H264, avc))),
              ElementsAre(Unit{0x67, 1}, Unit{0x68}));
  Unit hevc(22, 0);
  hevc[0] = 1;
  hevc[21] = 0xFD;  // lengths of 2 bytes
  for (const uint8_t byte : {2, 0x20, 0, 1, 0, 1, 0x40, 0x21, 0, 2, 0, 1, 0x42, 0, 1, 0x43})
    hevc.push_back(byte);
  EXPECT_EQ(nal_length_size(parameters(AV_CODEC_ID_HEVC, hevc)), 2);
  EXPECT_THAT(copies(stored_parameter_sets(parameters(AV_CODEC_ID_HEVC, hevc))),
              ElementsAre(Unit{0x40}, Unit{0x42}, Unit{0x43}));
  Unit annex_b = {0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68};
  EXPECT_EQ(nal_length_size(parameters(AV_CODEC_ID_H264, annex_b)), 0);
  EXPECT_THAT(copies(stored_parameter_sets(parameters(AV_CODEC_ID_H264, annex_b))),
              ElementsAre(Unit{0x67, 1}, Unit{0x68}));
}

TEST(NalUnits, ExtradataThatIsCutOffGivesNoSetFromBehindItsEnd) {
  const Unit whole = {1, 100, 0, 31, 0xFF, 0xE1, 0, 2, 0x67, 1, 1, 0, 1, 0x68};
  for (size_t size = 0; size < whole.size(); ++size) {
    Unit cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    for (const Bytes set : stored_parameter_sets(parameters(AV_CODEC_ID_H264, cut)))
      EXPECT_TRUE(set.empty() ||
                  (set.data() >= cut.data() && set.data() + set.size() <= cut.data() + cut.size()));
  }
}

// As an encoder escapes: no 00 00 0x with x < 4 is left in a unit.
Unit escaped(const Unit& plain) {
  Unit unit;
  int zeros = 0;
  for (const uint8_t byte : plain) {
    if (zeros == 2 && byte <= 3) {
      unit.push_back(3);
      zeros = 0;
    }
    zeros = byte == 0 ? zeros + 1 : 0;
    unit.push_back(byte);
  }
  return unit;
}

TEST(NalUnits, TheEscapeOfStartCodesIsTakenOut) {
  for (uint32_t number = 0; number < 4096; ++number) {  // all of 6 bytes of 0 to 3
    Unit plain;
    for (int i = 0; i < 6; ++i) plain.push_back(static_cast<uint8_t>(number >> (2 * i) & 3U));
    plain.push_back(9);
    EXPECT_THAT(unescaped(escaped(plain)), ElementsAreArray(plain));
  }
}

Unit exp_golomb_code(uint64_t value) {
  std::string bits;
  int length = 0;
  for (uint64_t rest = value + 1; rest > 1; rest /= 2) ++length;
  bits.append(static_cast<size_t>(length), '0');
  for (int i = length; i >= 0; --i) bits += ((value + 1) >> i & 1U) ? '1' : '0';
  bits.resize((bits.size() + 7) / 8 * 8, '0');
  Unit bytes;
  for (size_t i = 0; i < bits.size(); i += 8)
    bytes.push_back(static_cast<uint8_t>(std::stoi(bits.substr(i, 8), nullptr, 2)));
  return bytes;
}

TEST(BitReader, ReadsWhatWasWritten) {
  for (uint64_t value = 0; value <= UINT32_MAX - 1; value = value * 3 + 1) {
    const Unit code = exp_golomb_code(value);
    BitReader reader(code);
    EXPECT_EQ(reader.exp_golomb(), value);
    EXPECT_FALSE(reader.past_end());
  }
  const Unit bytes = {0x12, 0x34, 0x56, 0x78, 0x9A};
  BitReader reader(bytes);
  EXPECT_EQ(reader.bits(4), 1U);
  EXPECT_EQ(reader.bits(32), 0x23456789U);
  EXPECT_EQ(reader.bits(8), 0xA0U) << "zeros follow the end";
  EXPECT_TRUE(reader.past_end());
}

TEST(BitReader, DamageIsNoNumberAndEnds) {
  for (const Unit& bytes : {Unit{}, Unit{0}, Unit(64, 0), Unit{0, 0, 0, 0, 0x80}}) {
    BitReader reader(bytes);
    EXPECT_EQ(reader.exp_golomb(), 0U);
  }
}

}  // namespace
}  // namespace streamo::video
