// For tests/oracle/tokenizer_oracle.py: encodes texts with the tokenizer of a model directory.
//
// usage: encode_texts MODEL_DIR [ADD_TO_DIR]
// Reads from stdin, for each text, its length (uint32) and bytes; writes to stdout the number of
// ids (uint32), the ids (int32), then the length (uint32) and bytes of the ids decoded again.
// ADD_TO_DIR: first writes the tokenizer there with the missing state tokens added, and uses it.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "streamo/text/special_tokens.h"
#include "streamo/text/tokenizer.h"

namespace {

template <typename Value>
void write(const Value* values, size_t count) {
  if (std::fwrite(values, sizeof(Value), count, stdout) != count) std::perror("stdout");
}

void write_size(size_t size) {
  const auto size32 = static_cast<uint32_t>(size);
  write(&size32, 1);
}

}  // namespace

int main(int argc, char** argv) try {
  std::string model_dir = argv[1];
  if (argc > 2) {
    const auto tokenizer = streamo::text::load_tokenizer(model_dir);
    using streamo::text::kStateTokens;
    const std::vector<std::string> states(kStateTokens.begin(), kStateTokens.end());
    streamo::text::add_special_tokens(model_dir, argv[2],
                                      streamo::text::missing_special_tokens(*tokenizer, states));
    model_dir = argv[2];
  }
  const auto tokenizer = streamo::text::load_tokenizer(model_dir);
  uint32_t size = 0;
  while (std::fread(&size, sizeof(size), 1, stdin) == 1) {
    std::string text(size, '\0');
    if (std::fread(text.data(), 1, size, stdin) != size) return 1;
    const std::vector<streamo::text::TokenId> ids = tokenizer->encode(text);
    const std::string decoded = tokenizer->decode(ids);
    write_size(ids.size());
    write(ids.data(), ids.size());
    write_size(decoded.size());
    write(decoded.data(), decoded.size());
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
