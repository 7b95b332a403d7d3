// Serialises the items of samples as lines of text, and parses them.
#include "run/sample_lines.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/json/dump_json.h"
#include "streamo/core/error.h"

namespace streamo::run {
namespace {

using Json = nlohmann::json;

std::string sample_line(const data::SampleItems& sample) {
  Json items = Json::array();
  for (const data::Item& item : sample.items) {
    items.push_back({item.first_round, item.num_rounds, item.sink_rounds, item.seen_rounds,
                     item.tokens, item.supervised, item.frames, item.visual_tokens});
  }
  Json line = {std::move(items), sample.overlong ? 1 : 0};
  line.push_back(sample.reason ? Json{{"left_out", *sample.reason}} : Json(sample.content_id));
  line.push_back({sample.responses, sample.answers, sample.answers_lost});
  Json findings = Json::array();
  for (const data::CountedFinding& found : sample.findings)
    findings.push_back({static_cast<size_t>(found.finding), found.entries, found.first});
  line.push_back(std::move(findings));
  return core::dump_json(line);
}

data::SampleItems parse_line(const std::string& text, size_t number) {
  const Json line = Json::parse(text);
  data::SampleItems sample;
  for (const Json& numbers : line.at(0)) {
    sample.items.push_back({.sample = number,
                            .first_round = numbers.at(0),
                            .num_rounds = numbers.at(1),
                            .sink_rounds = numbers.at(2),
                            .seen_rounds = numbers.at(3),
                            .tokens = numbers.at(4),
                            .supervised = numbers.at(5),
                            .frames = numbers.at(6),
                            .visual_tokens = numbers.at(7)});
  }
  sample.overlong = line.at(1) == 1;
  const Json& last = line.at(2);
  if (last.is_object()) {
    sample.reason = last.at("left_out").get<std::string>();
  } else {
    sample.content_id = last.get<std::string>();
  }
  const Json& counts = line.at(3);
  sample.responses = counts.at(0);
  sample.answers = counts.at(1);
  sample.answers_lost = counts.at(2);
  for (const Json& found : line.at(4)) {
    sample.findings.push_back(
        {static_cast<data::Finding>(found.at(0).get<size_t>()), found.at(1), found.at(2)});
  }
  return sample;
}

}  // namespace

std::string to_lines(const std::vector<data::SampleItems>& samples) {
  std::string lines;
  for (const data::SampleItems& sample : samples) lines += sample_line(sample) + "\n";
  return lines;
}

std::vector<data::SampleItems> parse_lines(const std::string& lines,
                                           const std::vector<size_t>& numbers) {
  std::vector<data::SampleItems> samples;
  samples.reserve(numbers.size());
  std::istringstream stream(lines);
  for (std::string line; std::getline(stream, line);)
    samples.push_back(parse_line(line, numbers.at(samples.size())));
  STREAMO_CHECK(samples.size() == numbers.size(), "a line a sample");
  return samples;
}

}  // namespace streamo::run
