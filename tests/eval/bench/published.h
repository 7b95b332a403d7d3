// Made-up entries in the published formats of OVO-Bench (data/ovo_bench_new.json) and
// StreamingBench (src/data/questions_*.json): each field as the real files have it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "core/io/file.h"

namespace streamo::eval {

inline nlohmann::json ovo_entries() {
  return nlohmann::json::parse(R"([
    {"id": 7, "task": "EPM", "video": "a.mp4", "realtime": 3, "question": "Who came?",
     "answer": "Bo", "options": ["Al", "Bo", "Cy"], "gt": 1},
    {"id": 8, "task": "ASI", "video": "b.mp4", "realtime": 2.5, "question": "What next?",
     "answer": "run", "options": ["run", "sit"], "gt": 0},
    {"id": 9, "task": "CRR", "video": "a.mp4", "question": "What does she do?", "answer": "sings",
     "ask_time": 1, "clue_time": 3,
     "test_info": [{"realtime": 1, "type": 0}, {"realtime": 4, "type": 1}]},
    {"id": 10, "task": "SSR", "video": "b.mp4", "tutorial": "Tea", "all_steps": ["boil", "pour"],
     "start_time": [1, 3], "end_time": [2, 5],
     "test_info": [{"realtime": 1, "step": "boil", "type": 1},
                   {"realtime": 2, "step": "pour", "type": 0},
                   {"realtime": 4, "step": "pour", "type": 1}]},
    {"id": 11, "task": "REC", "video": "a.mp4", "activity": "clap", "start_times": [4],
     "end_times": [5], "test_info": [{"realtime": 2, "count": 0}, {"realtime": 5.0, "count": 1}]}
  ])");
}

inline nlohmann::json streaming_real() {
  return nlohmann::json::parse(R"([
    {"time": "[0:00:00 - 0:00:10]", "video_categories": "cooking", "video_path": "./videos/a.mp4",
     "questions": [
       {"task_type": "Clips Summarize", "question": "What was done?", "time_stamp": "00:00:03",
        "answer": "C", "options": ["A. w", "B. x", "C. y", "D. z"],
        "required_ability": "episodic memory"},
       {"task_type": "Counting", "question": "How many?", "time_stamp": "00:01:05", "answer": "A",
        "options": ["one", "two", "three", "four", "of them"], "required_ability": "memory"}]}
  ])");
}

inline nlohmann::json streaming_sqa() {
  return nlohmann::json::parse(R"([
    [{"time": "[0:00:00 - 0:01:00]", "video_categories": "sport", "video_path": "./videos/a.mp4",
      "questions": [{"task_type": "Sequential Question Answering", "question": "Who serves?",
                     "time_stamp": "00:00:02", "answer": "A", "options": ["W", "F", "X", "M"]}]},
     {"time": "[0:01:00 - 0:02:00]", "video_categories": "sport", "video_path": "./videos/a.mp4",
      "questions": [{"task_type": "Sequential Question Answering", "question": "His score?",
                     "time_stamp": "00:00:04", "answer": "C", "options": ["2", "6", "7", "4"]}]}]
  ])");
}

inline nlohmann::json streaming_proactive() {
  return nlohmann::json::parse(R"([
    {"time": "[0:00:00 - 0:00:30]", "video_categories": "sport", "video_path": "./videos/a.mp4",
     "questions": [{"task_type": "Proactive Output",
                    "question": "When the board shows 3 points, output \"3\".",
                    "time_stamp": "00:00:02", "ground_truth_time_stamp": "00:00:04",
                    "ground_truth_output": "3", "required_ability": "working memory"}]}
  ])");
}

// A folder of the test, gone afterwards.
class BenchFolder : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& content) const {
    core::write_file_atomic(folder_ / name, content);
    return folder_ / name;
  }
  std::filesystem::path write(const std::string& name, const nlohmann::json& content) const {
    return write(name, content.dump());
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("streamo-bench-" + std::to_string(::getpid()));
};

}  // namespace streamo::eval
