// Annotation and result files of benchmarks: plays and answers, or an Error{kData}.
#include <cmath>

#include "eval/benchmark.h"
#include "fuzz/fuzz.h"
#include "streamo/core/error.h"

namespace streamo {
namespace {

template <typename Read>
void try_to(const Read& read) {
  try {
    read();
  } catch (const core::Error& error) {
    fuzz::require(error.kind() == core::ErrorKind::kData);
  }
}

}  // namespace

FUZZ_TARGET(benchmarks, 2000) {
  const fuzz::InputFile file(input);
  for (const char* protocol : {eval::kOfficial, eval::kStreamo}) {
    try_to([&] {
      for (const eval::Episode& play : eval::load_benchmark(file.path(), {.protocol = protocol}))
        fuzz::require(std::isfinite(play.from) && std::isfinite(play.end));
    });
  }
  for (const char* name : {"", "model"}) {
    try_to([&] {
      for (const eval::Answer& answer : eval::read_answers(file.path(), name))
        fuzz::require(!eval::answer_key(answer).empty());
    });
  }
}

}  // namespace streamo
