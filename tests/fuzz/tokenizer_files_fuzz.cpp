// The tokenizer files of a model directory: a tokenizer that gives ids below its size, or an
// Error{kModel}. An input is what the first byte says, S: tokenizer.model (SentencePiece); T:
// tokenizer.json; V: vocab.json, merges.txt, tokenizer_config.json, added_tokens.json and
// special_tokens_map.json with zero bytes in between.
#include <fstream>
#include <vector>

#include "core/io/scratch_folder.h"
#include "fuzz/fuzz.h"
#include "streamo/core/error.h"
#include "streamo/text/tokenizer.h"

namespace streamo {
namespace {

void use(const text::Tokenizer& tokenizer) {
  const std::string sample = "The ball, \xc3\xa4 \xe2\x96\x81 is </Silence> at 12 s.\n";
  const std::vector<text::TokenId> ids = tokenizer.encode(sample);
  for (const text::TokenId id : ids) fuzz::require(id >= 0 && id < tokenizer.vocab_size());
  (void)tokenizer.decode(ids, true);
  (void)tokenizer.special_id("</Silence>");
}

}  // namespace

FUZZ_TARGET(tokenizer_files, 1500) {
  if (input.empty()) return;
  static const core::ScratchFolder scratch;
  const auto write = [&](const char* name, std::string_view bytes) {
    std::ofstream(scratch.path() / name, std::ios::binary) << bytes;
  };
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path()))
    std::filesystem::remove(entry.path());
  const char kind = input[0];
  input.remove_prefix(1);
  if (kind == 'S') write("tokenizer.model", input);
  if (kind == 'T') write("tokenizer.json", input);
  if (kind == 'V') {
    for (const char* name : {"vocab.json", "merges.txt", "tokenizer_config.json",
                             "added_tokens.json", "special_tokens_map.json"})
      write(name, fuzz::take_part(input));
  }
  try {
    use(*text::load_tokenizer(scratch.path()));
  } catch (const core::Error& error) {
    fuzz::require(error.kind() == core::ErrorKind::kModel);
  }
}

}  // namespace streamo
