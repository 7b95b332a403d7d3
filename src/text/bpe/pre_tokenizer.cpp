// PCRE2 with JIT behind a check that the pattern cannot match the empty string.
#include "text/bpe/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>

#include "streamo/core/error.h"
#include "text/bpe/split_expression.h"

namespace streamo::text {
namespace {

constexpr size_t kMaxExpressionBytes = 1 << 16;
constexpr const char* kHint = "use a tokenizer with the expression of Qwen2 or one like it";

std::string error_message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

void free_code(void* code) {
  pcre2_code_free(static_cast<pcre2_code*>(code));
}
void free_match_data(void* data) {
  pcre2_match_data_free(static_cast<pcre2_match_data*>(data));
}

pcre2_code* compile(std::string_view expression, const std::string& source) {
  if (expression.size() > kMaxExpressionBytes) {
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("the pre-tokenizer's expression has {} bytes, more than {}",
                                  expression.size(), kMaxExpressionBytes),
                      source, kHint);
  }
  const std::string translated = to_pcre2(expression, source);
  int error = 0;
  size_t offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
  if (code == nullptr) {
    throw core::Error(core::ErrorKind::kModel,
                      fmt::format("the pre-tokenizer's expression cannot be compiled ({}): {}",
                                  error_message(error), expression),
                      source, kHint);
  }
  // Where a machine forbids making code at run time, pcre2_match() interprets instead.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return code;
}

}  // namespace

PreTokenizer::PreTokenizer(std::string_view expression, std::string source)
    : source_(std::move(source)), code_(compile(expression, source_), &free_code) {
  uint32_t may_be_empty = 0;
  pcre2_pattern_info(static_cast<pcre2_code*>(code_.get()), PCRE2_INFO_MATCHEMPTY, &may_be_empty);
  if (may_be_empty != 0) {
    throw core::Error(
        core::ErrorKind::kModel,
        fmt::format("the pre-tokenizer's expression may match an empty word: {}", expression),
        source_, kHint);
  }
}

PreTokenizer::Scratch PreTokenizer::make_scratch() const {
  return {pcre2_match_data_create(1, nullptr), &free_match_data};
}

bool PreTokenizer::next_match(std::string_view text, size_t from, Scratch& scratch,
                              Match& match) const {
  auto* data = static_cast<pcre2_match_data*>(scratch.get());
  const int code = pcre2_match(static_cast<const pcre2_code*>(code_.get()),
                               reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                               PCRE2_NO_UTF_CHECK, data, nullptr);
  if (code == PCRE2_ERROR_NOMATCH) return false;
  if (code < 0) {
    throw core::Error(
        core::ErrorKind::kModel,
        fmt::format("the pre-tokenizer's expression does not come to an end on a text "
                    "of {} bytes ({})",
                    text.size(), error_message(code)),
        source_, kHint);
  }
  const size_t* ends = pcre2_get_ovector_pointer(data);
  match = {ends[0], ends[1]};
  return true;
}

}  // namespace streamo::text
