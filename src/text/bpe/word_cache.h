// The ids of words seen before. Text repeats its words, and looking one up is some ten times faster
// than merging its bytes anew.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <vector>

#include "streamo/text/tokenizer.h"

namespace streamo::text {

// Bounded (1 MiB): each word has one place, and the newest word stays there. Not for use by two
// threads.
class WordCache {
 public:
  WordCache() : slots_(kSlots) {}

  // Appends the ids of `word` if it is there.
  bool find(std::string_view word, std::vector<TokenId>& ids) const {
    if (word.size() > kMaxBytes) return false;
    const Key key = make_key(word);
    const Slot& slot = slots_[slot_index(key)];
    if (slot.key != key) return false;
    for (const TokenId id : slot.ids) {
      if (id < 0) break;
      ids.push_back(id);
    }
    return true;
  }

  // Long words and those of many ids are not kept: they are rare.
  void insert(std::string_view word, const TokenId* ids, size_t count) {
    if (word.size() > kMaxBytes || count > kMaxIds) return;
    const Key key = make_key(word);
    Slot& slot = slots_[slot_index(key)];
    slot.key = key;
    slot.ids.fill(-1);
    std::copy(ids, ids + count, slot.ids.begin());
  }

 private:
  static constexpr size_t kSlots = size_t{1} << 15;
  static constexpr size_t kMaxBytes = 15, kMaxIds = 4;
  using Key = std::array<uint64_t, 2>;  // the bytes, zeros, and the length in the last byte
  struct Slot {
    Key key{};  // no word has length 0
    std::array<TokenId, kMaxIds> ids{};
  };

  static Key make_key(std::string_view word) {
    std::array<char, sizeof(Key)> bytes{};
    std::memcpy(bytes.data(), word.data(), word.size());
    bytes.back() = static_cast<char>(word.size());
    Key key;
    std::memcpy(key.data(), bytes.data(), sizeof(key));
    return key;
  }
  static size_t slot_index(const Key& key) {
    const uint64_t mixed = (key[0] ^ (key[1] * 0x9e3779b97f4a7c15u)) * 0xff51afd7ed558ccdu;
    return static_cast<size_t>(mixed >> 40) % kSlots;
  }

  std::vector<Slot> slots_;
};

}  // namespace streamo::text
