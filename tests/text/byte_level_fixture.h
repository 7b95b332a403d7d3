// A small byte-level tokenizer in the files of a published model directory.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "streamo/core/error.h"
#include "streamo/text/special_tokens.h"
#include "text/bpe/byte_alphabet.h"

namespace streamo::text {

inline constexpr const char* kQwenExpression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Ids: the bytes 0 to 255, then "th", "the", " the", "ab", then the chat and vision tokens.
inline const std::vector<std::string> kMerges = {"t h", "th e", "\u0120 the", "a b"};
inline constexpr TokenId kTh = 256, kThe = 257, kSpaceThe = 258, kAb = 259, kFirstAdded = 260;

inline std::vector<std::string> chat_and_vision_tokens() {
  std::vector<std::string> tokens = special_token_strings();
  tokens.resize(tokens.size() - kNumStates);
  return tokens;
}

inline nlohmann::ordered_json added_token_json(const std::string& content, bool special = true) {
  return {{"content", content}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false},    {"normalized", false},  {"special", special}};
}

inline nlohmann::ordered_json small_vocabulary() {
  nlohmann::ordered_json vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[spelling_of_byte(static_cast<unsigned char>(byte))] = byte;
  }
  for (size_t i = 0; i < kMerges.size(); ++i) {
    std::string token = kMerges[i];
    token.erase(token.find(' '), 1);
    vocabulary[token] = 256 + i;
  }
  return vocabulary;
}

inline nlohmann::ordered_json small_tokenizer_json() {
  using nlohmann::ordered_json;
  const ordered_json byte_level = {{"type", "ByteLevel"},
                                   {"add_prefix_space", false},
                                   {"trim_offsets", false},
                                   {"use_regex", false}};
  const ordered_json split = {{"type", "Split"},
                              {"pattern", {{"Regex", kQwenExpression}}},
                              {"behavior", "Isolated"},
                              {"invert", false}};
  ordered_json added = ordered_json::array();
  TokenId id = kFirstAdded;
  for (const std::string& token : chat_and_vision_tokens()) {
    ordered_json entry = {{"id", id++}};
    entry.update(added_token_json(token));
    added.push_back(entry);
  }
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer",
           {{"type", "Sequence"}, {"pretokenizers", ordered_json::array({split, byte_level})}}},
          {"post_processor", byte_level},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", ""},
            {"end_of_word_suffix", ""},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", small_vocabulary()},
            {"merges", kMerges}}}};
}

// tokenizer_config.json as the hub's Qwen2.5-VL has it.
inline nlohmann::ordered_json small_tokenizer_config() {
  nlohmann::ordered_json decoder, names = nlohmann::ordered_json::array();
  TokenId id = kFirstAdded;
  for (const std::string& token : chat_and_vision_tokens()) {
    decoder[std::to_string(id++)] = added_token_json(token);
    names.push_back(token);
  }
  return {{"added_tokens_decoder", decoder},
          {"additional_special_tokens", names},
          {"eos_token", "<|im_end|>"},
          {"tokenizer_class", "Qwen2Tokenizer"}};
}

inline void write_text(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

// An empty folder that goes with the test.
class ScratchFolder {
 public:
  ScratchFolder() : path_(std::filesystem::path(testing::TempDir()) / name()) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  static std::string name() {
    static int count = 0;
    return "streamo-text-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
  }
  std::filesystem::path path_;
};

inline void write_published(const std::filesystem::path& folder) {
  write_text(folder / "tokenizer.json", small_tokenizer_json().dump(2));
  write_text(folder / "tokenizer_config.json", small_tokenizer_config().dump(2));
}

inline void write_legacy(const std::filesystem::path& folder) {
  write_text(folder / "vocab.json", small_vocabulary().dump());
  std::string merges = "#version: 0.2\n";
  for (const std::string& merge : kMerges) merges += merge + "\n";
  write_text(folder / "merges.txt", merges);
  write_text(folder / "tokenizer_config.json", small_tokenizer_config().dump(2));
}

inline std::string expect_model_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kModel) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

}  // namespace streamo::text
