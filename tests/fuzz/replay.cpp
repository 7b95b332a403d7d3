// Replays a corpus and mutates it as libFuzzer does, but always in the same way, so that a plain
// build finds what it found before.
#include "fuzz/replay.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace streamo::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr double kSecondsAnInput = 10;  // of processor time: none may take longer

std::vector<std::string> read_corpus(const fs::path& folder) {
  std::vector<fs::path> paths(fs::directory_iterator(folder), fs::directory_iterator{});
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  for (const fs::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& corpus, const std::string& name) : corpus_(corpus) {
    std::seed_seq seed(name.begin(), name.end());
    random_.seed(seed);
  }

  std::string next() {
    std::string input = any_of(corpus_);
    for (size_t left = 1 + below(4); left > 0; --left) mutate(input);
    return input;
  }

  // Brackets without end, in the middle of an input.
  std::string deep() {
    static const std::vector<std::string> openings = {"[", "{\"a\":", "[{\"\":", "(", "<", "\"\\"};
    std::string input = any_of(corpus_);
    return input.insert(place(input), repeated(any_of(openings), 4'000'000));
  }

 private:
  size_t below(size_t end) { return static_cast<size_t>(random_() % std::max<size_t>(end, 1)); }
  size_t place(const std::string& in) { return below(in.size() + 1); }
  template <typename List>
  const typename List::value_type& any_of(const List& list) {
    return list[below(std::size(list))];
  }
  std::string piece(const std::string& of, size_t longest) {
    return of.substr(place(of), 1 + below(longest));
  }
  static std::string repeated(const std::string& text, size_t bytes) {
    std::string all;
    while (!text.empty() && all.size() < bytes) all += text;
    return all;
  }

  void mutate(std::string& input) {
    static const std::array<const char*, 24> words = {"\"",
                                                      "\\",
                                                      "{",
                                                      "}",
                                                      "[",
                                                      "]",
                                                      ":",
                                                      ",",
                                                      "null",
                                                      "true",
                                                      "-1",
                                                      "0",
                                                      "1e400",
                                                      "NaN",
                                                      "\\u0000",
                                                      "\xff",
                                                      "\n",
                                                      "\r\n",
                                                      "-0.0",
                                                      "18446744073709551616",
                                                      "9223372036854775807",
                                                      "\xef\xbb\xbf",
                                                      "..",
                                                      "/"};
    switch (below(10)) {
      case 0:
        if (!input.empty()) input[below(input.size())] ^= static_cast<char>(1U << below(8));
        return;
      case 1:
        if (!input.empty()) input[below(input.size())] = static_cast<char>(below(256));
        return;
      case 2:
        input.erase(place(input), 1 + below(16));
        return;
      case 3:
        input.resize(place(input));
        return;
      case 4:
        input.insert(place(input), any_of(words));
        return;
      case 5:
        input.insert(place(input), piece(input, 64));
        return;
      case 6:
        input.insert(place(input), piece(any_of(corpus_), 256));
        return;
      case 7:
        overwrite_integer(input);
        return;
      case 8:
        overwrite_digits(input);
        return;
      default:
        if (below(16) == 0) input.insert(place(input), repeated(piece(input, 8), 20'000));
    }
  }

  void overwrite_integer(std::string& input) {
    static const std::array<uint64_t, 9> values = {
        0, 1, 0x7f, 0xff, 0x7fff, 0xffffffff, 0x7fffffff, UINT64_MAX, INT64_MAX};
    std::array<char, 8> bytes{};
    std::memcpy(bytes.data(), &any_of(values), 8);
    const size_t count = size_t{1} << below(4);
    if (below(2) == 0) std::reverse(bytes.begin(), bytes.begin() + static_cast<long>(count));
    if (input.size() >= count)
      input.replace(below(input.size() - count + 1), count, bytes.data(), count);
  }

  void overwrite_digits(std::string& input) {
    static const std::array<const char*, 8> values = {
        "0", "-1", "1e308", "2147483648", "4294967296", "18446744073709551615", "0.1", "999999999"};
    const size_t begin = input.find_first_of("0123456789", place(input));
    if (begin == std::string::npos) return;
    const size_t end = std::min(input.find_first_not_of("0123456789", begin), input.size());
    input.replace(begin, end - begin, any_of(values));
  }

  const std::vector<std::string>& corpus_;
  std::mt19937_64 random_;
};

}  // namespace

void replay(const char* name, const std::function<void(std::string_view)>& target, int mutations) {
  const std::vector<std::string> corpus =
      read_corpus(fs::path(STREAMO_SOURCE_DIR "/tests/fuzz/corpus") / name);
  ASSERT_FALSE(corpus.empty());
  const fs::path tried = fs::path(testing::TempDir()) / (std::string("streamo-fuzz-") + name);
  std::printf("a crash leaves its input in %s\n", tried.c_str());
  const auto run = [&](const std::string& input) {
    std::ofstream(tried, std::ios::binary) << input;
    const std::clock_t begin = std::clock();
    target(input);
    EXPECT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, kSecondsAnInput);
    if (testing::Test::HasFailure()) return false;
    fs::remove(tried);
    return true;
  };
  for (const std::string& input : corpus) {
    if (!run(input)) return;
  }
  Mutator mutator(corpus, name);
  for (int i = 0; i < mutations; ++i) {
    if (!run(i % 500 == 0 ? mutator.deep() : mutator.next())) return;
  }
}

}  // namespace streamo::fuzz
