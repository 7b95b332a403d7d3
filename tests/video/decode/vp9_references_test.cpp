// Which earlier packets a VP9 packet needs. Truth: headers written here field by field, as section
// 6.2 of the specification lists them, and what its section 7.2 says of each, worked out by hand.
#include "video/decode/vp9_references.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace streamo::video {
namespace {
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

using Frame = std::vector<uint8_t>;

class BitWriter {
 public:
  BitWriter& bits(int count, uint32_t value) {
    while (count-- > 0) bits_ += (value >> count & 1) != 0 ? '1' : '0';
    return *this;
  }
  // With what follows a header: some bytes without meaning.
  Frame bytes(int more = 8) const {
    Frame bytes;
    for (size_t at = 0; at < bits_.size(); at += 8) {
      std::string byte = bits_.substr(at, 8);
      byte.resize(8, '0');
      bytes.push_back(static_cast<uint8_t>(std::stoi(byte, nullptr, 2)));
    }
    bytes.resize(bytes.size() + static_cast<size_t>(more), uint8_t{0x55});
    return bytes;
  }

 private:
  std::string bits_;
};

enum Type : uint32_t { kKey = 0, kOther = 1 };
constexpr uint32_t kResilient = 1, kDependent = 0;  // error_resilient_mode
constexpr uint32_t kRefreshes = 1, kKeeps = 0;      // refresh_frame_context

BitWriter begin(uint32_t profile, Type type, uint32_t shown, uint32_t resilient) {
  BitWriter bits;
  bits.bits(2, 2).bits(1, profile & 1).bits(1, profile >> 1);
  if (profile == 3) bits.bits(1, 0);
  return bits.bits(1, 0).bits(1, type).bits(1, shown).bits(1, resilient);
}

void end(BitWriter& bits, uint32_t resilient, uint32_t refreshes, uint32_t context) {
  if (resilient == kDependent) bits.bits(1, refreshes).bits(1, 0);
  bits.bits(2, context);
}

void sync_and_colours(BitWriter& bits, uint32_t profile) {
  bits.bits(24, 0x498342);
  if (profile >= 2) bits.bits(1, 0);
  bits.bits(3, 2).bits(1, 0);
  if (profile % 2 == 1) bits.bits(3, 0);
}

void size(BitWriter& bits) {
  bits.bits(32, (319 << 16) | 179).bits(1, 0);
}

Frame key(uint32_t profile = 0, uint32_t resilient = kDependent) {
  BitWriter bits = begin(profile, kKey, 1, resilient);
  sync_and_colours(bits, profile);
  size(bits);
  end(bits, resilient, kRefreshes, 0);
  return bits.bytes();
}

struct Inter {
  uint32_t refreshed = 0;  // a bit for each slot
  std::array<uint32_t, 3> slots{};
  uint32_t resilient = kDependent, refreshes = kKeeps, context = 0, shown = 1;
};

Frame inter(const Inter& frame) {
  BitWriter bits = begin(0, kOther, frame.shown, frame.resilient);
  if (frame.shown == 0) bits.bits(1, 0);
  if (frame.resilient == kDependent) bits.bits(2, 0);
  bits.bits(8, frame.refreshed);
  for (const uint32_t slot : frame.slots) bits.bits(3, slot).bits(1, 0);
  bits.bits(2, 0b01).bits(1, 0);  // the size of the second reference
  bits.bits(1, 0).bits(3, 0b010);
  end(bits, frame.resilient, frame.refreshes, frame.context);
  return bits.bytes();
}

Frame intra_only(uint32_t profile, uint32_t refreshed, uint32_t resilient, uint32_t reset = 0,
                 uint32_t refreshes = kKeeps, uint32_t context = 0) {
  BitWriter bits = begin(profile, kOther, 0, resilient);
  bits.bits(1, 1);
  if (resilient == kDependent) bits.bits(2, reset);
  profile > 0 ? sync_and_colours(bits, profile) : (void)bits.bits(24, 0x498342);
  bits.bits(8, refreshed);
  size(bits);
  end(bits, resilient, refreshes, context);
  return bits.bytes();
}

Frame again(uint32_t slot) {
  return BitWriter().bits(4, 0b1000).bits(1, 1).bits(3, slot).bytes(0);
}

// Annex B, sizes of two bytes.
Frame together(const std::vector<Frame>& frames) {
  const auto marker = static_cast<uint8_t>(0b11001000 | (frames.size() - 1));
  Frame all, index{marker};
  for (const Frame& frame : frames) {
    all.insert(all.end(), frame.begin(), frame.end());
    index.push_back(static_cast<uint8_t>(frame.size() & 0xff));
    index.push_back(static_cast<uint8_t>(frame.size() >> 8));
  }
  index.push_back(marker);
  all.insert(all.end(), index.begin(), index.end());
  return all;
}

// References of the last of `packets`.
std::optional<std::vector<uint32_t>> last(const std::vector<Frame>& packets) {
  Vp9References references;
  std::optional<std::vector<uint32_t>> of_last;
  for (const Frame& packet : packets) of_last = references.next(packet).references;
  return of_last;
}

const Inter kBase{.refreshed = 1, .resilient = kResilient};  // slot 0 from slot 0

TEST(Vp9References, ResilientFramesNeedTheirPicturesAndTheLastIntraFrame) {
  const Frame base = inter(kBase);
  const Frame upper = inter({.refreshed = 2, .slots = {0, 1, 1}, .resilient = kResilient});
  EXPECT_THAT(last({key()}), Optional(IsEmpty()));
  EXPECT_THAT(last({key(), base}), Optional(ElementsAre(0)));
  EXPECT_THAT(last({key(), base, upper, base}), Optional(ElementsAre(0, 1)));
  EXPECT_THAT(last({key(), base, upper, upper}), Optional(ElementsAre(0, 1, 2)));
  EXPECT_THAT(last({key(), base, key(), base}), Optional(ElementsAre(2)));
}

TEST(Vp9References, OthersNeedTheFrameBeforeThem) {
  const Frame unreferred = inter({.resilient = kResilient});
  const Frame dependent = inter({});
  EXPECT_THAT(last({key(), unreferred, dependent}), Optional(ElementsAre(0, 1)));
  // One shown again between them, too, and the frame that it shows.
  EXPECT_THAT(last({key(), inter(kBase), again(0)}), Optional(ElementsAre(1)));
  EXPECT_THAT(last({key(), unreferred, again(0), dependent}), Optional(ElementsAre(0, 1, 2)));
  // Beyond the last one, only those who left its pictures and, 1, the probabilities.
  EXPECT_THAT(last({key(), unreferred, again(0), dependent, dependent}),
              Optional(ElementsAre(0, 1, 3)));
}

TEST(Vp9References, ContextsAreThoseOfWhoWroteThemLast) {
  const Frame writes = inter({.refreshes = kRefreshes, .context = 2});
  const Frame plain = inter({.context = 1}), reads = inter({.context = 2});
  EXPECT_THAT(last({key(), writes, plain, plain, reads}), Optional(ElementsAre(0, 1, 3)));
  EXPECT_THAT(last({key(), writes, plain, plain, plain}), Optional(ElementsAre(0, 3)));
  // A resilient frame sets all of them back.
  EXPECT_THAT(last({key(), writes, inter({.resilient = kResilient}), plain, reads}),
              Optional(ElementsAre(0, 2, 3)));
}

TEST(Vp9References, IntraOnlyFramesNeedNothingButContexts) {
  const Frame writes = inter({.refreshes = kRefreshes, .context = 2});
  const auto intra = [](uint32_t reset) { return intra_only(0, 2, kDependent, reset, kKeeps, 2); };
  EXPECT_THAT(last({key(), writes, intra(0)}), Optional(ElementsAre(0, 1)));
  EXPECT_THAT(last({key(), writes, intra(3)}), Optional(IsEmpty()));
  EXPECT_THAT(last({key(), writes, intra_only(0, 2, kResilient)}), Optional(IsEmpty()));
  // What they leave: a slot, colours, contexts; those that they set back or write.
  const Frame plain = inter({.context = 1}), reads = inter({.context = 2});
  EXPECT_THAT(last({key(), writes, intra(0), inter({.slots = {1, 1, 1}, .resilient = 1})}),
              Optional(ElementsAre(2)));
  EXPECT_THAT(last({key(), writes, intra(1), plain, reads}), Optional(ElementsAre(0, 1, 2, 3)));
  EXPECT_THAT(last({key(), writes, intra(2), plain, reads}), Optional(ElementsAre(0, 2, 3)));
  EXPECT_THAT(last({key(), writes, intra(3), plain, inter({})}), Optional(ElementsAre(0, 2, 3)));
  const Frame into_first = intra_only(0, 2, kDependent, 0, kRefreshes, 2);
  EXPECT_THAT(last({key(), plain, into_first, plain, into_first}), Optional(ElementsAre(0, 2)));
}

TEST(Vp9References, ReadsTheHeadersOfAllProfiles) {
  for (uint32_t profile = 0; profile < 4; ++profile) {
    SCOPED_TRACE(profile);
    Vp9References references;
    EXPECT_TRUE(references.next(key(profile)).key);
    EXPECT_FALSE(references.next(intra_only(profile, 4, kResilient)).key);
    EXPECT_THAT(references.next(inter({.slots = {2, 2, 2}, .resilient = kResilient})).references,
                Optional(ElementsAre(1)));
    EXPECT_THAT(references.next(inter({.resilient = kResilient})).references,
                Optional(ElementsAre(0, 1)));
  }
}

TEST(Vp9References, CountsTheShownFramesOfAPacket) {
  const Frame hidden = inter({.refreshed = 4, .resilient = kResilient, .shown = 0});
  const Frame shown = inter({.slots = {2, 2, 2}});
  Vp9References references;
  Vp9References::Packet packet = references.next(together({key(), hidden, shown}));
  EXPECT_TRUE(packet.key);
  EXPECT_EQ(packet.shown, 2);
  EXPECT_THAT(packet.references, Optional(IsEmpty()));
  packet = references.next(hidden);
  EXPECT_EQ(packet.shown, 0);
  packet = references.next(together({hidden, again(2)}));
  EXPECT_FALSE(packet.key);
  EXPECT_EQ(packet.shown, 1);
  EXPECT_THAT(packet.references, Optional(ElementsAre(0)));
  // The slot is now that of packet 2.
  EXPECT_THAT(references.next(shown).references, Optional(ElementsAre(0, 2)));
}

TEST(Vp9References, KnowsNothingMoreBehindWhatItDoesNotUnderstand) {
  const Frame good = inter(kBase);
  Frame marker = good, no_size = together({good, {}}), too_long = together({good, good});
  marker[0] = 0;
  too_long.erase(too_long.begin(), too_long.begin() + 2);
  Frame no_sync = key();
  no_sync[1] ^= 1;
  const Frame profile_4 = BitWriter().bits(5, 0b10111).bits(8, 0).bytes();
  for (const Frame& bad : {Frame{}, Frame{0x80}, marker, no_size, too_long, no_sync, profile_4}) {
    EXPECT_EQ(last({key(), bad}), std::nullopt);
    EXPECT_EQ(last({key(), bad, key()}), std::nullopt);
  }
  EXPECT_EQ(last({good}), std::nullopt);  // no key frame before it
  for (const Frame& whole : {key(1), good, intra_only(0, 1, kDependent)}) {
    for (size_t bytes = 0; bytes < whole.size() - 8; ++bytes) {
      EXPECT_EQ(last({key(), Frame(whole.begin(), whole.begin() + static_cast<int>(bytes))}),
                std::nullopt);
    }
  }
}

}  // namespace
}  // namespace streamo::video
