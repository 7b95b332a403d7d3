// A small tokenizer, trained once a process, for the tests that need one.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "streamo/text/tokenizer.h"

namespace streamo::text {

inline std::vector<std::string> training_texts() {
  std::vector<std::string> texts;
  for (int i = 0; i < 60; ++i) {
    const std::string second = std::to_string(i);
    texts.push_back("Tell me when the red ball crosses the line.\n<" + second + "s-" +
                    std::to_string(i + 1) + "s>\n");
    texts.push_back("The red ball has crossed the line " + second +
                    " times, at the left of the box.");
    texts.push_back("When does the blue square appear?\nIt appears now, beside the green circle.");
  }
  return texts;
}

inline const std::filesystem::path& tokenizer_directory() {
  static const struct Directory {
    Directory()
        : path(std::filesystem::path(testing::TempDir()) /
               ("streamo-tokenizer-" + std::to_string(::getpid()))) {
      train_tokenizer(training_texts(), 400, path);
    }
    ~Directory() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
  } directory;
  return directory.path;
}

inline const Tokenizer& small_tokenizer() {
  static const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(tokenizer_directory());
  return *tokenizer;
}

}  // namespace streamo::text
