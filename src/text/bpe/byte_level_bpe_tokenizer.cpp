// The pipeline: added tokens, NFC, pre-tokenizer, BPE with a word cache. Scratch objects are
// pooled, so encode() is const and thread-safe.
#include "text/bpe/byte_level_bpe_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "streamo/core/error.h"
#include "streamo/text/special_tokens.h"
#include "text/unicode/utf8.h"

namespace streamo::text {
namespace {

// Tokenizers gives an added token the id that its content has in the vocabulary, else the next free
// one, whatever id the file says (add_tokens in tokenizers/src/tokenizer/added_vocabulary.rs, with
// a warning). A file where the two differ has ids that nobody can be sure of.
void check_ids(const std::vector<AddedToken>& tokens, const BpeModel& model,
               const std::string& source) {
  TokenId next = static_cast<TokenId>(model.num_tokens());
  for (const AddedToken& token : tokens) {
    const TokenId in_vocabulary = model.token_id(token.content);
    const TokenId expected = in_vocabulary >= 0 ? in_vocabulary : next++;
    if (token.id != expected) {
      throw core::Error(
          core::ErrorKind::kModel,
          fmt::format("the added token '{}' has the id {}, but {}", token.content, token.id,
                      in_vocabulary >= 0
                          ? fmt::format("the vocabulary has it as {}", in_vocabulary)
                          : fmt::format("its place in the file gives it {}", expected)),
          source, "copy the tokenizer's files again from where the model was published");
    }
  }
}

}  // namespace

struct ByteLevelBpeTokenizer::Scratch {
  explicit Scratch(PreTokenizer::Scratch of_pre_tokenizer) : match(std::move(of_pre_tokenizer)) {}

  PreTokenizer::Scratch match;
  BpeModel::Scratch merge;
  WordCache cache;
  std::string well_formed, normalized;
};

ByteLevelBpeTokenizer::ByteLevelBpeTokenizer(ByteLevelBpeFiles files)
    : model_(std::move(files.bpe), files.source),
      nfc_(files.nfc),
      pre_tokenizer_(files.split_expression, files.source),
      vocab_size_(model_.vocab_size()) {
  check_ids(files.added_tokens, model_, files.source);
  const std::vector<std::string> always_special = special_token_strings();
  std::vector<AddedToken> as_given, normalized;
  for (AddedToken token : files.added_tokens) {
    token.special = token.special || std::find(always_special.begin(), always_special.end(),
                                               token.content) != always_special.end();
    vocab_size_ = std::max<int64_t>(vocab_size_, token.id + 1);
    if (!added_ids_.emplace(token.content, token.id).second) {
      throw core::Error(core::ErrorKind::kModel,
                        fmt::format("the added token '{}' stands there twice", token.content),
                        files.source, "remove one of them");
    }
    added_.emplace(token.id, token);
    if (token.normalized && nfc_) {
      std::string storage;
      token.content = std::string(nfc(token.content, storage));
    }
    (token.normalized ? normalized : as_given).push_back(token);
  }
  as_given_.emplace(std::move(as_given), files.source);
  normalized_.emplace(std::move(normalized), files.source);
}

ByteLevelBpeTokenizer::~ByteLevelBpeTokenizer() = default;

std::unique_ptr<ByteLevelBpeTokenizer::Scratch> ByteLevelBpeTokenizer::borrow() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Scratch> scratch = std::move(idle_.back());
      idle_.pop_back();
      return scratch;
    }
  }
  return std::make_unique<Scratch>(pre_tokenizer_.make_scratch());
}

void ByteLevelBpeTokenizer::give_back(std::unique_ptr<Scratch> scratch) const {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(scratch));
}

void ByteLevelBpeTokenizer::encode_plain(std::string_view text, Scratch& scratch,
                                         std::vector<TokenId>& ids) const {
  pre_tokenizer_.for_each_word(text, scratch.match, [&](std::string_view word) {
    if (scratch.cache.find(word, ids)) return;
    const size_t before = ids.size();
    model_.encode(word, scratch.merge, ids);
    scratch.cache.insert(word, ids.data() + before, ids.size() - before);
  });
}

std::vector<TokenId> ByteLevelBpeTokenizer::encode(std::string_view text) const {
  if (text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw core::Error(core::ErrorKind::kData, "a text of 2 GiB or more cannot be tokenized",
                      fmt::format("the text that begins with '{}'", text.substr(0, 60)));
  }
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 4 + 1);
  std::unique_ptr<Scratch> scratch = borrow();
  const auto push = [&](const AddedToken& token) { ids.push_back(token.id); };
  const auto encode_part = [&](std::string_view part) {
    normalized_->split(
        nfc_ ? nfc(part, scratch->normalized) : part,
        [&](std::string_view plain) { encode_plain(plain, *scratch, ids); }, push);
  };
  as_given_->split(well_formed(text, scratch->well_formed), encode_part, push);
  give_back(std::move(scratch));
  return ids;
}

std::string ByteLevelBpeTokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    const auto added = added_.find(id);
    if (added == added_.end()) {
      bytes += model_.token_bytes(id);  // nothing for the rows of an embedding that have no token
    } else if (!skip_special || !added->second.special) {
      bytes += added->second.content;
    }
  }
  std::string storage;
  return std::string(well_formed(bytes, storage));  // a character may be cut in the middle
}

TokenId ByteLevelBpeTokenizer::special_id(std::string_view token) const {
  const auto found = added_ids_.find(std::string(token));
  return found == added_ids_.end() ? -1 : found->second;
}

}  // namespace streamo::text
