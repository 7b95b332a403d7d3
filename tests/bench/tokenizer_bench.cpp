// Speed of a model directory's tokenizer: loading it, and encoding texts on one core.
// tokenizer_bench.py makes the inputs and measures the package `tokenizers` beside it.
//
// usage: tokenizer_bench MODEL_DIR TEXT_FILE... [--benchmark_...]
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "core/io/file.h"
#include "streamo/text/tokenizer.h"

namespace {

constexpr size_t kDocumentBytes = 4096;

// Cut as tokenizer_bench.py cuts it: behind the first line end after so many bytes.
std::vector<std::string> documents(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < text.size();) {
    const size_t line_end = text.find('\n', begin + kDocumentBytes);
    const size_t end = line_end == std::string::npos ? text.size() : line_end + 1;
    parts.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return parts;
}

void load(benchmark::State& state, const std::string& model_dir) {
  for (auto _ : state) benchmark::DoNotOptimize(streamo::text::load_tokenizer(model_dir));
}

void encode(benchmark::State& state, const std::string& model_dir, const std::string& path) {
  const auto tokenizer = streamo::text::load_tokenizer(model_dir);
  const std::string text = streamo::core::read_file(path);
  const std::vector<std::string> parts = documents(text);
  size_t num_ids = 0;
  for (auto _ : state) {
    num_ids = 0;
    for (const std::string& part : parts) num_ids += tokenizer->encode(part).size();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.counters["ids"] = static_cast<double>(num_ids);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc < 3) {
    std::fprintf(stderr, "usage: tokenizer_bench MODEL_DIR TEXT_FILE... [--benchmark_...]\n");
    return 2;
  }
  const std::string model_dir = argv[1];
  benchmark::RegisterBenchmark("load", [=](benchmark::State& state) {
    load(state, model_dir);
  })->Unit(benchmark::kMillisecond);
  for (int i = 2; i < argc; ++i) {
    const std::string path = argv[i];
    const std::string name = "encode/" + std::filesystem::path(path).stem().string();
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
      encode(state, model_dir, path);
    })->Unit(benchmark::kMillisecond);
  }
  benchmark::RunSpecifiedBenchmarks();
}
