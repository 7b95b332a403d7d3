#include "ranked_index.h"

#include <nlohmann/json.hpp>

#include "streamo/core/dump_json.h"

namespace streamo::train {
namespace {

using Json = nlohmann::json;

// So many samples in a row go to one rank: those of one video often stand together, and share what
// was read of it.
constexpr size_t kInARow = 16;

std::vector<size_t> samples_of(size_t rank, size_t ranks, size_t samples) {
  std::vector<size_t> own;
  for (size_t sample = 0; sample < samples; ++sample) {
    if (sample / kInARow % ranks == rank) own.push_back(sample);
  }
  return own;
}

std::string serialized(const std::vector<data::SampleItems>& found) {
  Json all = Json::array();
  for (const data::SampleItems& sample : found) {
    Json items = Json::array();
    for (const data::Item& item : sample.items) {
      items.push_back({item.sample, item.first_round, item.num_rounds, item.sink_rounds,
                       item.seen_rounds, item.tokens, item.supervised, item.frames,
                       item.visual_tokens});
    }
    all.push_back({items, sample.reason ? Json(*sample.reason) : Json(), sample.overlong});
  }
  return core::dump_json(all);
}

std::vector<data::SampleItems> parsed(const std::string& text) {
  std::vector<data::SampleItems> found;
  for (const Json& sample : Json::parse(text)) {
    data::SampleItems& of_sample = found.emplace_back();
    for (const Json& numbers : sample.at(0)) {
      of_sample.items.push_back({.sample = numbers.at(0),
                                 .first_round = numbers.at(1),
                                 .num_rounds = numbers.at(2),
                                 .sink_rounds = numbers.at(3),
                                 .seen_rounds = numbers.at(4),
                                 .tokens = numbers.at(5),
                                 .supervised = numbers.at(6),
                                 .frames = numbers.at(7),
                                 .visual_tokens = numbers.at(8)});
    }
    if (sample.at(1).is_string()) of_sample.reason = sample.at(1);
    of_sample.overlong = sample.at(2);
  }
  return found;
}

}  // namespace

data::Index build_index(const data::SampleSource& source, const text::ChatFormat& chat,
                        const data::IndexOptions& options, data::SampleReport& report,
                        dist::Ranks& ranks) {
  if (ranks.size() == 1) return data::build_index(source, chat, options, report);
  const auto size = static_cast<size_t>(ranks.size());
  const auto of_rank = [&](size_t rank) { return samples_of(rank, size, source.size()); };
  const auto own = of_rank(static_cast<size_t>(ranks.rank()));
  const std::vector<std::string> all =
      ranks.gather(serialized(data::read_items(source, own, chat, options)));
  std::vector<data::SampleItems> of_sample(source.size());
  for (size_t rank = 0; rank < size; ++rank) {
    std::vector<data::SampleItems> found = parsed(all[rank]);
    const std::vector<size_t> samples = of_rank(rank);
    for (size_t i = 0; i < samples.size(); ++i) of_sample[samples[i]] = std::move(found.at(i));
  }
  return data::make_index(source, of_sample, report);
}

}  // namespace streamo::train
