// Streams vocabulary and merges past the DOM, then checks every remaining key: an unknown one could
// change the ids.
#include "text/tokenizer_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>

#include "core/brief.h"
#include "core/json/dump_json.h"
#include "core/json/json.h"
#include "streamo/core/error.h"
#include "text/sentencepiece/model_file.h"

namespace streamo::text {
namespace {

using nlohmann::json;

constexpr const char* kHint =
    "only byte-level BPE as Qwen2 has it is supported (docs/tokenizer.md)";

// Takes the entries of model.vocab and model.merges out of the document while it is read: as nodes
// of it, 300,000 of them would take most of the time and memory.
class DocumentReader final : public core::JsonBuilder<json> {
 public:
  DocumentReader(SpelledBpe& bpe, const std::string& source) : bpe_(bpe), source_(source) {}

  bool key(std::string& key) override {
    if (part_ == Part::kVocabulary) {
      token_ = std::move(key);
      return true;
    }
    if (depth() == 1) in_model_ = key == "model";
    if (depth() == 2) key_in_model_ = in_model_ ? key : "";
    return JsonBuilder::key(key);
  }
  bool start_object(size_t size) override {
    refuse_in_part();
    if (!JsonBuilder::start_object(size)) return false;
    if (depth() == kPartDepth && key_in_model_ == "vocab") part_ = Part::kVocabulary;
    return true;
  }
  bool start_array(size_t size) override {
    if (part_ == Part::kMerges && !in_pair_) {
      pair_.clear();
      return in_pair_ = true;
    }
    refuse_in_part();
    if (!JsonBuilder::start_array(size)) return false;
    if (depth() == kPartDepth && key_in_model_ == "merges") part_ = Part::kMerges;
    return true;
  }
  bool end_object() override {
    leave_part();
    return JsonBuilder::end_object();
  }
  bool end_array() override {
    if (in_pair_) {
      if (pair_.size() != 2) refuse_in_part();
      bpe_.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
      in_pair_ = false;
      return true;
    }
    leave_part();
    return JsonBuilder::end_array();
  }
  bool string(std::string& value) override {
    if (part_ == Part::kVocabulary) return take_id(value);
    if (part_ == Part::kOther) return JsonBuilder::string(value);
    if (in_pair_) {
      pair_.push_back(std::move(value));
    } else if (!is_version_line(value)) {
      bpe_.merges.push_back(read_merge(value, source_));
    }
    return true;
  }
  bool null() override { return scalar(nullptr) || JsonBuilder::null(); }
  bool boolean(bool value) override { return scalar(value) || JsonBuilder::boolean(value); }
  bool number_integer(int64_t value) override {
    return scalar(value) || JsonBuilder::number_integer(value);
  }
  bool number_unsigned(uint64_t value) override {
    return scalar(value) || JsonBuilder::number_unsigned(value);
  }
  bool number_float(double value, const std::string& text) override {
    return scalar(value) || JsonBuilder::number_float(value, text);
  }

 private:
  enum class Part { kOther, kVocabulary, kMerges };
  static constexpr size_t kPartDepth = 3;  // inside model.vocab and model.merges

  // Whether it was an id of the vocabulary.
  bool scalar(const json& value) {
    if (part_ == Part::kVocabulary) return take_id(value);
    refuse_in_part();
    return false;
  }
  bool take_id(const json& value) {
    const TokenId id = read_token_id(value, token_, source_);
    bpe_.vocabulary.emplace_back(std::move(token_), id);
    return true;
  }
  void refuse_in_part() const {
    if (part_ == Part::kOther) return;
    throw core::Error(core::ErrorKind::kModel,
                      part_ == Part::kVocabulary ? "'model.vocab' is no object of tokens and ids"
                                                 : "'model.merges' is no list of pairs of tokens",
                      source_, kHint);
  }
  void leave_part() {
    if (depth() == kPartDepth) part_ = Part::kOther;
  }

  SpelledBpe& bpe_;
  const std::string& source_;
  bool in_model_ = false, in_pair_ = false;
  Part part_ = Part::kOther;
  std::string key_in_model_, token_;
  std::vector<std::string> pair_;
};

// Checks one object of the file: every key must be asked for, so that nothing is passed over.
class Section {
 public:
  Section(const json& value, std::string name, const std::string& source)
      : value_(value), name_(std::move(name)), source_(source) {
    if (!value.is_object()) {
      throw core::Error(core::ErrorKind::kModel,
                        fmt::format("'{}' must be an object, it is {}", name_, shown(value)),
                        source_, kHint);
    }
  }

  // The value of a key; null where it is absent.
  const json& get(const char* key) {
    known_.emplace_back(key);
    static const json kNull;
    const auto found = value_.find(key);
    return found == value_.end() ? kNull : *found;
  }

  void must_be(const char* key, std::initializer_list<json> accepted) {
    const json& value = get(key);
    if (std::find(accepted.begin(), accepted.end(), value) != accepted.end()) return;
    std::vector<std::string> names;
    for (const json& one : accepted) names.push_back(one.dump());
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("'{}.{}' is {}, which is not supported ({} is)", name_, key,
                                  shown(value), fmt::join(names, " or ")),
                      source_, kHint);
  }

  bool boolean(const char* key) {
    must_be(key, {true, false, nullptr});
    const json& value = value_.value(key, json());
    return value.is_boolean() && value.get<bool>();
  }

  void finish() const {
    for (const auto& [key, value] : value_.items()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      throw core::Error(core::ErrorKind::kModel,
                        fmt::format("'{}.{}' is not supported", name_, key), source_, kHint);
    }
  }

  static std::string shown(const json& value) { return core::brief(core::dump_json(value), 60); }

 private:
  const json& value_;
  std::string name_;
  const std::string& source_;
  std::vector<std::string> known_;
};

bool has_type(const json& value, const char* type) {
  return value.is_object() && value.value("type", json()) == json(type);
}

std::vector<AddedToken> read_added_tokens(const json& list, const std::string& source) {
  std::vector<AddedToken> tokens;
  if (list.is_null()) return tokens;
  if (!list.is_array()) {
    throw core::Error(core::ErrorKind::kModel, "'added_tokens' must be an array", source, kHint);
  }
  for (const json& entry : list) {
    Section section(entry, "added_tokens", source);
    const TokenId id =
        read_token_id(section.get("id"), Section::shown(section.get("content")), source);
    tokens.push_back(read_added_token(entry, id, source));
    for (const char* key : {"single_word", "lstrip", "rstrip", "normalized", "special"}) {
      section.get(key);
    }
    section.finish();
  }
  return tokens;
}

void check_normalizer(const json& value, const std::string& source) {
  if (value.is_null()) return;
  Section normalizer(value, "normalizer", source);
  normalizer.must_be("type", {"NFC"});
  normalizer.finish();
}

void check_byte_level(const json& value, const std::string& name, bool in_encoding,
                      const std::string& source) {
  Section byte_level(value, name, source);
  byte_level.must_be("type", {"ByteLevel"});
  if (in_encoding) {
    byte_level.must_be("add_prefix_space", {false});
    byte_level.must_be("use_regex", {false});
  } else {  // where it undoes what encoding did, or only moves offsets
    byte_level.boolean("add_prefix_space");
    byte_level.boolean("use_regex");
  }
  byte_level.boolean("trim_offsets");
  byte_level.finish();
}

// What transformers writes for a tokenizer that puts no token at the ends.
bool is_empty_template(const json& value) {
  return has_type(value, "TemplateProcessing") &&
         value.value("special_tokens", json()) == json::object();
}

std::string read_split_expression(const json& value, const std::string& source) {
  Section sequence(value, "pre_tokenizer", source);
  sequence.must_be("type", {"Sequence"});
  const json& steps = sequence.get("pretokenizers");
  sequence.finish();
  if (!steps.is_array() || steps.size() != 2) {
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("'pre_tokenizer.pretokenizers' is {}, only Split with ByteLevel "
                                  "behind it is supported",
                                  Section::shown(steps)),
                      source, kHint);
  }
  Section split(steps[0], "pre_tokenizer.pretokenizers[0]", source);
  split.must_be("type", {"Split"});
  split.must_be("behavior", {"Isolated"});
  split.must_be("invert", {false});
  Section pattern(split.get("pattern"), "pre_tokenizer.pretokenizers[0].pattern", source);
  split.finish();
  const json& expression = pattern.get("Regex");
  pattern.finish();
  if (!expression.is_string()) {
    throw core::Error(core::ErrorKind::kModel, "the pre-tokenizer has no 'Regex'", source, kHint);
  }
  check_byte_level(steps[1], "pre_tokenizer.pretokenizers[1]", /*in_encoding=*/true, source);
  return expression.get<std::string>();
}

// All but the vocabulary and the merges; returns ignore_merges.
bool check_model(const json& value, const std::string& source) {
  Section model(value, "model", source);
  model.must_be("type", {"BPE"});
  model.must_be("dropout", {nullptr, 0.0});
  model.must_be("continuing_subword_prefix", {nullptr, ""});
  model.must_be("end_of_word_suffix", {nullptr, ""});
  model.must_be("byte_fallback", {nullptr, false});
  model.get("unk_token");  // every byte has a token, so nothing is unknown
  model.boolean("fuse_unk");
  model.must_be("vocab", {json::object()});  // its entries were taken out
  model.must_be("merges", {json::array()});
  const bool ignore_merges = model.boolean("ignore_merges");
  model.finish();
  return ignore_merges;
}

}  // namespace

TokenizerJson parse_tokenizer_json(std::string_view content, const std::string& source) {
  TokenizerJson result;
  DocumentReader reader(result.bpe, source);
  const auto complaint = core::scan_json(content, reader, {.max_bytes = kMaxModelFileBytes});
  if (complaint) {
    throw core::Error(
        core::ErrorKind::kModel,
        fmt::format("not readable JSON ({}: {})", core::place_in(content, complaint->byte),
                    complaint->what.empty() ? reader.complaint() : complaint->what),
        source, "copy the file again from where the model was published");
  }
  result.rest = reader.take();
  return result;
}

bool is_byte_level_bpe(const TokenizerJson& json) {
  if (!json.rest.is_object() || !has_type(json.rest.value("model", nlohmann::json()), "BPE")) {
    return false;
  }
  const nlohmann::json pre_tokenizer = json.rest.value("pre_tokenizer", nlohmann::json());
  if (has_type(pre_tokenizer, "ByteLevel")) return true;
  if (!has_type(pre_tokenizer, "Sequence")) return false;
  const nlohmann::json steps = pre_tokenizer.value("pretokenizers", nlohmann::json());
  return std::any_of(steps.begin(), steps.end(),
                     [](const nlohmann::json& step) { return has_type(step, "ByteLevel"); });
}

ByteLevelBpeFiles read_byte_level_bpe(TokenizerJson json, const std::string& source) {
  Section file(json.rest, "tokenizer.json", source);
  file.must_be("version", {"1.0", nullptr});
  file.get("truncation");
  file.get("padding");
  ByteLevelBpeFiles files;
  files.source = source;
  check_normalizer(file.get("normalizer"), source);
  files.nfc = !file.get("normalizer").is_null();
  files.split_expression = read_split_expression(file.get("pre_tokenizer"), source);
  const nlohmann::json& post_processor = file.get("post_processor");
  if (!post_processor.is_null() && !is_empty_template(post_processor)) {
    check_byte_level(post_processor, "post_processor", /*in_encoding=*/false, source);
  }
  check_byte_level(file.get("decoder"), "decoder", /*in_encoding=*/false, source);
  const bool ignore_merges = check_model(file.get("model"), source);
  files.added_tokens = read_added_tokens(file.get("added_tokens"), source);
  file.finish();
  files.bpe = to_bytes(std::move(json.bpe), files.added_tokens, source);
  files.bpe.ignore_merges = ignore_merges;
  return files;
}

}  // namespace streamo::text
