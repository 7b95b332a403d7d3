// Which packets of a stream a decoder needs for the wanted pictures, and no others.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "video/decode/packet_kind.h"
#include "video/decode/timeline.h"

namespace streamo::video {

enum class Feed : uint8_t {
  kDrop,     // the decoder never sees it
  kPass,     // it sees it, but need not decode its picture: no other refers to it
  kDecode,   // its picture is wanted, or a reference for one that is
  kRestart,  // the same, with the decoder emptied before: what stood in between was dropped
};

struct DecodePlan {
  std::vector<Feed> feed;  // one for each packet of the stream, in its order, to the last needed
  std::vector<int64_t>
      wanted;  // times of the pictures that are samples, and of the first; ascending
};

// Gathers what is known of a stream's packets, added in the order of the file.
class DecodePlanner {
 public:
  // `displayed`: as PacketTimes has it.
  void add(const AVPacket& packet, const PacketKind& kind, bool displayed);

  // Exact under these conditions; nullopt, decode everything, when one does not hold:
  // - every packet is understood, and the first one is a point of random access;
  // - each displayed packet has a time of its own;
  // - times and the codec's own order of the pictures agree, in the whole stream.
  //
  // A group runs from one point of random access to the next. It is fed up to its last wanted
  // picture, and not at all without one. But when a picture is wanted that is decoded after such a
  // point and shown before it (open groups), the group before must be fed whole.
  //
  // Where the codec names the references of each packet, exactly those are fed that a wanted
  // picture refers to, directly or through others.
  std::optional<DecodePlan> plan(const Timeline& timeline, const SampleGrid& grid) const;

 private:
  struct Entry {
    int64_t pts, order;
    uint8_t layer;
    bool random_access, droppable, displayed;
    bool needs_restart;
    uint32_t first_reference;  // in references_, up to that of the next entry
    bool wanted = false;
  };
  using Entries = std::vector<Entry>;
  static std::optional<std::vector<size_t>> as_displayed(const Entries& entries);
  static std::vector<int64_t> mark_wanted(Entries& entries, const std::vector<size_t>& displayed,
                                          const Timeline& timeline, const SampleGrid& grid);
  std::vector<Feed> feed(const Entries& entries) const;
  std::vector<Feed> feed_referenced(const Entries& entries) const;
  std::span<const uint32_t> references(const Entries& entries, size_t i) const;
  size_t mark_needed(const Entries& entries, size_t begin, size_t end,
                     std::vector<bool>& needed) const;
  static bool omits_too_many(const Entries& entries, size_t begin, size_t last,
                             const std::vector<bool>& needed);
  void feed_group(const Entries& entries, size_t begin, size_t end, std::vector<Feed>& feed) const;

  Entries entries_;
  std::vector<uint32_t> references_;
  bool possible_ = true, referenced_ = true;
  uint8_t top_layer_ = 0;
};

}  // namespace streamo::video
