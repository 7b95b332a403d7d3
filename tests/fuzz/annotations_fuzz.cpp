// Annotation files: records or an Error, and of each record a conversation or a Fault.
#include <nlohmann/json.hpp>

#include "data/formats/record_file.h"
#include "data/samples/conversation.h"
#include "fuzz/fuzz.h"

namespace streamo {
namespace {

constexpr int64_t kTurns = 40;

void read_raw(const nlohmann::json& record) {
  const auto annotation = data::parse_annotation(record);
  if (!annotation) return fuzz::require(!annotation.reason().empty());
  for (const double fps : {1.0, 0.3, 3.0}) {
    data::ConversionLosses losses;
    fuzz::require(data::label_turns(*annotation, kTurns, fps, &losses).size() == kTurns);
    const data::Conversation conversation =
        data::build_conversation(*annotation, kTurns, {.fps = fps}, &losses);
    fuzz::require(data::num_placeholders(conversation) == kTurns);
  }
}

void read_stream(const nlohmann::json& record) {
  const auto conversation = data::parse_stream_json(record);
  if (!conversation) return fuzz::require(!conversation.reason().empty());
  const auto again = data::parse_stream_json(data::to_stream_json(*conversation));
  fuzz::require(again && data::num_placeholders(*again) == data::num_placeholders(*conversation));
}

}  // namespace

FUZZ_TARGET(annotations, 2000) {
  const fuzz::InputFile file(input);
  try {
    const data::RecordFile records(file.path());
    for (size_t i = 0; i < std::min<size_t>(records.size(), 20); ++i) {
      const auto record = records.read(i);
      if (!record) {
        fuzz::require(!record.reason().empty());
        continue;
      }
      read_raw(*record);
      read_stream(*record);
    }
  } catch (const core::Error&) {
    // what a user is told
  }
}

}  // namespace streamo
