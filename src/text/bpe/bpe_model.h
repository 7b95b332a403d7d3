// Byte-pair encoding: a word falls into bytes, and of all neighbours that may be joined the pair of
// the lowest rank is joined first, again and again (Sennrich et al. 2016, arXiv:1508.07909).
//
// Ids equal those of `BPE` in Hugging Face's tokenizers 0.23, whose algorithm this is
// (tokenizers/src/models/bpe/word.rs): a heap of pairs by rank, then position.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "streamo/text/tokenizer.h"

namespace streamo::text {

// What the files say. All strings are bytes, not their spelling in the files.
struct BpeFiles {
  std::vector<std::pair<std::string, TokenId>> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  // in the order of their rank
  bool ignore_merges =
      false;  // a word that is in the vocabulary is its id, whatever the merges say
};

class BpeModel {
 public:
  // Memory that encode() uses again; one for each thread.
  struct Scratch {
    struct Symbol {
      TokenId id;
      int32_t previous, next;  // positions; -1: none
      bool joined = false;     // to its left neighbour
    };
    struct Candidate {
      uint64_t order;  // rank, then position
      TokenId id;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> candidates;
  };

  // Throws core::Error{kModel} naming `source` when a byte has no id, a token or id occurs twice,
  // or a merge needs a token that is not there.
  BpeModel(BpeFiles files, const std::string& source);
  BpeModel(const BpeModel&) = delete;  // the views below point into `files_`
  BpeModel& operator=(const BpeModel&) = delete;

  // Appends the ids of a word (any bytes).
  void encode(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const;

  TokenId token_id(std::string_view bytes) const;  // -1: not in the vocabulary
  // The bytes of a token; nothing for an id that has none.
  std::string_view token_bytes(TokenId id) const;
  int64_t num_tokens() const { return static_cast<int64_t>(files_.vocabulary.size()); }
  int64_t vocab_size() const { return static_cast<int64_t>(bytes_.size()); }  // largest id + 1

 private:
  // What a pair of ids becomes: open addressing, because a hash table of nodes makes encoding and
  // loading twice as slow.
  struct Merge {
    TokenId left = -1, right = -1;
    int32_t rank = 0;
    TokenId id = -1;
  };

  void add_tokens(const std::string& source);
  void add_merges(const std::string& source);
  Merge& slot(TokenId left, TokenId right);
  const Merge* find_merge(TokenId left, TokenId right) const;
  void push_candidate(int32_t position, Scratch& scratch) const;
  void join(int32_t position, TokenId id, Scratch& scratch) const;

  BpeFiles files_;
  std::unordered_map<std::string_view, TokenId> ids_;
  std::vector<std::string_view> bytes_;
  std::array<TokenId, 256> byte_ids_{};
  std::vector<Merge> merges_;  // a power of two, at most half full
};

}  // namespace streamo::text
