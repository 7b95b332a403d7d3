// Trains a SentencePiece model in which every special string is one piece.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>

#include "core/io/file.h"
#include "streamo/core/error.h"
#include "streamo/text/special_tokens.h"
#include "streamo/text/tokenizer.h"

namespace streamo::text {
namespace {

constexpr int kNumBytes = 256;

// Each text once, with how often it occurs: turns repeat themselves so much that reading them one
// by one takes longer than the training. A line is "text<tab>count", so tabs separate texts here;
// encoding falls back to the byte.
std::vector<std::string> counted_lines(const std::vector<std::string>& texts) {
  std::map<std::string_view, int64_t> counts;
  for (const std::string& text : texts) {
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find('\t', begin), text.size());
      if (end > begin) ++counts[std::string_view(text).substr(begin, end - begin)];
      begin = end + 1;
    }
  }
  std::vector<std::string> lines;
  for (const auto& [text, count] : counts) lines.push_back(fmt::format("{}\t{}", text, count));
  return lines;
}

class LineIterator final : public sentencepiece::SentenceIterator {
 public:
  explicit LineIterator(const std::vector<std::string>& lines) : lines_(lines) {}
  bool done() const override { return next_ >= lines_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return lines_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& lines_;
  size_t next_ = 0;
};

std::unordered_map<std::string, std::string> trainer_options(
    const std::vector<std::string>& special, int vocab_size) {
  return {
      {"model_type", "bpe"},
      {"model_prefix", ""},
      {"input_format", "tsv"},
      {"vocab_size", std::to_string(vocab_size)},
      {"hard_vocab_limit", "false"},  // a small text simply has fewer pieces
      {"user_defined_symbols", fmt::format("{}", fmt::join(special, ","))},
      {"byte_fallback", "true"},
      // A whole time tag (`<12s-13s>`) may become one piece, a role with its newline too: they
      // stand in every turn. Tags that the text does not have fall apart into digits.
      {"split_by_number", "false"},
      {"split_by_unicode_script", "false"},
      // Text must come back as it was: no normalization, no space added or removed.
      {"normalization_rule_name", "identity"},
      {"add_dummy_prefix", "false"},
      {"remove_extra_whitespaces", "false"},
      {"unk_id", "0"},
      {"bos_id", "-1"},
      {"eos_id", "-1"},
      {"pad_id", "-1"},
      {"max_sentence_length", "1000000000"},  // the default leaves out texts above 4192 bytes
      {"num_threads", "1"},
      {"minloglevel", "2"},
  };
}

// Enough for transformers to build the same tokenizer from tokenizer.model.
std::string tokenizer_config(const std::vector<std::string>& special) {
  nlohmann::ordered_json added;
  for (size_t i = 0; i < special.size(); ++i) {
    added[std::to_string(i + 1)] = {{"content", special[i]}, {"lstrip", false},
                                    {"normalized", false},   {"rstrip", false},
                                    {"single_word", false},  {"special", true}};
  }
  const nlohmann::ordered_json config = {
      {"tokenizer_class", "LlamaTokenizer"},
      {"legacy", false},
      {"add_bos_token", false},
      {"add_eos_token", false},
      {"add_prefix_space", false},
      {"clean_up_tokenization_spaces", false},
      {"unk_token", "<unk>"},
      {"bos_token", nullptr},
      {"eos_token", kImEnd},
      {"pad_token", kEndOfText},
      {"added_tokens_decoder", added},
  };
  return config.dump(2) + "\n";
}

}  // namespace

void train_tokenizer(const std::vector<std::string>& texts, int vocab_size,
                     const std::filesystem::path& out_dir) {
  const std::vector<std::string> special = special_token_strings();
  const int smallest = 1 + static_cast<int>(special.size()) + kNumBytes;
  if (vocab_size <= smallest) {
    throw core::Error(
        core::ErrorKind::kConfig,
        fmt::format("a vocabulary of {} has no room beside the {} special tokens and bytes",
                    vocab_size, smallest),
        "tokenizer training", "ask for more, for example 1024");
  }
  const std::vector<std::string> lines = counted_lines(texts);
  LineIterator iterator(lines);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      trainer_options(special, vocab_size), &iterator, &model);
  if (!status.ok()) {
    throw core::Error(core::ErrorKind::kConfig,
                      fmt::format("SentencePiece cannot train on these {} texts: {}", texts.size(),
                                  status.ToString()),
                      "tokenizer training", "give more text or ask for a larger vocabulary");
  }
  core::write_file_atomic(out_dir / "tokenizer.model", model);
  core::write_file_atomic(out_dir / "tokenizer_config.json", tokenizer_config(special));
}

}  // namespace streamo::text
