// Merges with a linked list of symbols and a heap of candidates: n log n in the length of the word.
// Merge lookup is an open-addressing hash table.
#include "text/bpe/bpe_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "streamo/core/error.h"
#include "text/bpe/byte_alphabet.h"

namespace streamo::text {
namespace {

constexpr const char* kHint = "copy the tokenizer's files again from where the model was published";

size_t hash_pair(TokenId left, TokenId right) {
  const uint64_t pair =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  return static_cast<size_t>(pair * 0x9e3779b97f4a7c15u >> 20);  // Fibonacci hashing
}

bool is_behind(const BpeModel::Scratch::Candidate& a, const BpeModel::Scratch::Candidate& b) {
  return a.order > b.order;
}

std::string spelled(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += spelling_of_byte(static_cast<unsigned char>(byte));
  return text;
}

}  // namespace

BpeModel::BpeModel(BpeFiles files, const std::string& source) : files_(std::move(files)) {
  add_tokens(source);
  add_merges(source);
}

void BpeModel::add_tokens(const std::string& source) {
  TokenId largest = -1;
  for (const auto& [bytes, id] : files_.vocabulary) largest = std::max(largest, id);
  bytes_.resize(static_cast<size_t>(largest + 1));
  ids_.reserve(files_.vocabulary.size());
  for (const auto& [bytes, id] : files_.vocabulary) {
    if (bytes.empty()) {
      throw core::Error(core::ErrorKind::kModel, fmt::format("the token of id {} is empty", id),
                        source, kHint);
    }
    if (!ids_.emplace(bytes, id).second) {
      throw core::Error(core::ErrorKind::kModel,
                        fmt::format("the token '{}' stands there twice", spelled(bytes)), source,
                        kHint);
    }
    std::string_view& of_id = bytes_[static_cast<size_t>(id)];
    if (!of_id.empty()) {
      throw core::Error(core::ErrorKind::kModel,
                        fmt::format("the tokens '{}' and '{}' have the same id {}", spelled(of_id),
                                    spelled(bytes), id),
                        source, kHint);
    }
    of_id = bytes;
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(byte);
    byte_ids_[byte] = token_id({&character, 1});
    if (byte_ids_[byte] < 0) {
      throw core::Error(
          core::ErrorKind::kModel,
          fmt::format(
              "the vocabulary has no token for the byte 0x{:02x} ('{}'), so it is not one of "
              "a byte-level tokenizer or is incomplete",
              byte, spelling_of_byte(static_cast<unsigned char>(byte))),
          source, kHint);
    }
  }
}

void BpeModel::add_merges(const std::string& source) {
  merges_.resize(std::bit_ceil(2 * files_.merges.size() + 2));
  int32_t rank = 0;
  std::string joined;
  for (const auto& [left, right] : files_.merges) {
    joined.assign(left).append(right);
    // Where the same pair stands twice, the later rank counts, as in tokenizers.
    const Merge merge = {token_id(left), token_id(right), rank, token_id(joined)};
    if (merge.left < 0 || merge.right < 0 || merge.id < 0) {
      const std::string& missing = merge.left < 0 ? left : merge.right < 0 ? right : joined;
      throw core::Error(
          core::ErrorKind::kModel,
          fmt::format("merge {} ('{}' and '{}') needs the token '{}', which is not in "
                      "the vocabulary",
                      rank, spelled(left), spelled(right), spelled(missing)),
          source, kHint);
    }
    slot(merge.left, merge.right) = merge;
    ++rank;
  }
  files_.merges = {};
}

BpeModel::Merge& BpeModel::slot(TokenId left, TokenId right) {
  const size_t mask = merges_.size() - 1;
  size_t at = hash_pair(left, right) & mask;
  while (merges_[at].id >= 0 && (merges_[at].left != left || merges_[at].right != right)) {
    at = (at + 1) & mask;
  }
  return merges_[at];
}

const BpeModel::Merge* BpeModel::find_merge(TokenId left, TokenId right) const {
  const size_t mask = merges_.size() - 1;
  for (size_t at = hash_pair(left, right) & mask; merges_[at].id >= 0; at = (at + 1) & mask) {
    if (merges_[at].left == left && merges_[at].right == right) return &merges_[at];
  }
  return nullptr;
}

TokenId BpeModel::token_id(std::string_view bytes) const {
  const auto found = ids_.find(bytes);
  return found == ids_.end() ? -1 : found->second;
}

std::string_view BpeModel::token_bytes(TokenId id) const {
  return id >= 0 && id < vocab_size() ? bytes_[static_cast<size_t>(id)] : std::string_view();
}

void BpeModel::push_candidate(int32_t position, Scratch& scratch) const {
  const Scratch::Symbol& symbol = scratch.symbols[static_cast<size_t>(position)];
  const Scratch::Symbol& next = scratch.symbols[static_cast<size_t>(symbol.next)];
  const Merge* merge = find_merge(symbol.id, next.id);
  if (merge == nullptr) return;
  const uint64_t order = static_cast<uint64_t>(merge->rank) << 32 | static_cast<uint32_t>(position);
  scratch.candidates.push_back({order, merge->id});
}

void BpeModel::join(int32_t position, TokenId id, Scratch& scratch) const {
  std::vector<Scratch::Symbol>& symbols = scratch.symbols;
  std::vector<Scratch::Candidate>& candidates = scratch.candidates;
  Scratch::Symbol& symbol = symbols[static_cast<size_t>(position)];
  Scratch::Symbol& right = symbols[static_cast<size_t>(symbol.next)];
  symbol.id = id;
  symbol.next = right.next;
  right.joined = true;
  const auto push = [&](int32_t at) {
    const size_t before = candidates.size();
    push_candidate(at, scratch);
    if (candidates.size() > before) {
      std::push_heap(candidates.begin(), candidates.end(), is_behind);
    }
  };
  if (symbol.previous >= 0) push(symbol.previous);
  if (symbol.next >= 0) {
    symbols[static_cast<size_t>(symbol.next)].previous = position;
    push(position);
  }
}

void BpeModel::encode(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const {
  if (files_.ignore_merges) {
    if (const TokenId id = token_id(word); id >= 0) {
      ids.push_back(id);
      return;
    }
  }
  std::vector<Scratch::Symbol>& symbols = scratch.symbols;
  std::vector<Scratch::Candidate>& candidates = scratch.candidates;
  const auto size = static_cast<int32_t>(word.size());
  symbols.clear();
  candidates.clear();
  for (int32_t i = 0; i < size; ++i) {
    const TokenId id = byte_ids_[static_cast<unsigned char>(word[static_cast<size_t>(i)])];
    symbols.push_back({id, i - 1, i + 1 < size ? i + 1 : -1});
  }
  for (int32_t i = 0; i + 1 < size; ++i) push_candidate(i, scratch);
  std::make_heap(candidates.begin(), candidates.end(), is_behind);

  while (!candidates.empty()) {
    const Scratch::Candidate best = candidates.front();
    std::pop_heap(candidates.begin(), candidates.end(), is_behind);
    candidates.pop_back();
    const auto position = static_cast<int32_t>(best.order & 0xffffffffu);
    const Scratch::Symbol& symbol = symbols[static_cast<size_t>(position)];
    if (symbol.joined || symbol.next < 0) continue;
    // A candidate may be out of date. It counts by what the pair becomes, not by the pair it was
    // made for: two pairs may become the same token.
    const Merge* merge = find_merge(symbol.id, symbols[static_cast<size_t>(symbol.next)].id);
    if (merge != nullptr && merge->id == best.id) join(position, best.id, scratch);
  }
  for (int32_t i = 0; i >= 0 && i < size; i = symbols[static_cast<size_t>(i)].next) {
    ids.push_back(symbols[static_cast<size_t>(i)].id);
  }
}

}  // namespace streamo::text
