// The folder of a run that never was, with the figures one would expect: for looking at its report.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/rng.h"
#include "metrics/metrics_log.h"

namespace streamo::train {

inline void write_fake_metrics(const std::filesystem::path& folder, int64_t steps) {
  core::Rng rng({1});
  metrics::MetricsLog log(folder, 0, /*tensorboard=*/false);
  const auto total = static_cast<double>(steps);
  for (int64_t step = 5; step <= steps; step += 5) {
    const double t = static_cast<double>(step) / total, noise = rng.uniform(0.85, 1.15);
    metrics::StepMetrics metrics{.step = step, .total_steps = steps, .epoch = 2 * t};
    metrics.loss = noise * (0.12 + 2.1 * std::exp(-7 * t));
    metrics.loss_state = noise * (0.05 + 1.05 * std::exp(-9 * t));
    metrics.loss_text = noise * (0.2 + 3.4 * std::exp(-6 * t));
    metrics.state_targets = {400, 60, 40};
    const std::array<double, 3> lag = {12, 7, 5};
    for (size_t state = 0; state < 3; ++state) {
      const double recall =
          std::clamp((1 - std::exp(-lag[state] * t)) * rng.uniform(0.93, 1.02), 0.0, 1.0);
      metrics.state_hits[state] = static_cast<int64_t>(
          std::lround(recall * static_cast<double>(metrics.state_targets[state])));
    }
    metrics.lr = 1e-3 * (t < 0.05 ? t / 0.05 : 0.5 * (1 + std::cos(3.14159 * (t - 0.05) / 0.95)));
    metrics.grad_norm = noise;
    metrics.video_seconds_per_second = 310 * rng.uniform(0.9, 1.05);
    metrics.tokens_per_second = 41'000 * rng.uniform(0.9, 1.05);
    log.log(metrics);
    if (step % 100 == 0) {
      log.log_eval(step, {{"macro_f1", 0.95 - 0.6 * std::exp(-6 * t)},
                          {"response_timing",
                           {{"within_1s", 0.96 - 0.9 * std::exp(-5 * t)},
                            {"median", std::exp(-3 * t)},
                            {"p90", 4 * std::exp(-3 * t)}}},
                          {"grounding", {{"mean_iou", 0.8 * t}}},
                          {"calibration", {{"ece", 0.2 * (1 - t)}}},
                          {"answer_exact_match", 0.9 - 0.9 * std::exp(-4 * t)}});
    }
  }
}

// A video whose event is answered `delay` turns after it should be.
inline nlohmann::ordered_json fake_timeline(int index, const std::string& task, int turns,
                                            int delay) {
  core::Rng rng({2, static_cast<uint64_t>(index)});
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  const int begin = turns / 3, end = turns / 2;
  for (int i = 0; i < turns; ++i) {
    const auto state = [&](int shift) {
      return i >= begin + shift && i < end + shift ? "Standby"
             : i == end + shift                    ? "Response"
                                                   : "Silence";
    };
    const std::string truth = state(0), predicted = state(delay);
    const double sure = rng.uniform(0.8, 0.99);
    nlohmann::ordered_json turn;
    if (i == 0) turn["question"] = "Tell me when the red ball touches the wall, and which one.";
    turn["truth"] = truth;
    turn["predicted"] = predicted;
    if (truth == "Response") turn["truth_answer"] = "The red ball touches the left wall.";
    if (predicted == "Response") {
      turn["answer"] = delay > 1 ? "The red ball touches the right wall."
                                 : "The red ball touches the left wall.";
    }
    const double rest = (1 - sure) / 2;
    turn["probabilities"] = {predicted == "Silence" ? sure : rest,
                             predicted == "Standby" ? sure : rest,
                             predicted == "Response" ? sure : rest};
    list.push_back(turn);
  }
  return {{"id", fmt::format("{}-{}", task, index)},
          {"video_name", fmt::format("clip_{:04}.mp4", index)},
          {"task_type", task},
          {"fps", 1.0},
          {"turns", list}};
}

inline nlohmann::ordered_json fake_eval() {
  using Json = nlohmann::ordered_json;
  Json eval = Json::parse(R"({"samples": 64, "turns": 2391, "macro_f1": 0.947,
    "states": {"Silence": {"precision": 0.991, "recall": 0.988, "f1": 0.989, "support": 1790},
               "Standby": {"precision": 0.942, "recall": 0.951, "f1": 0.946, "support": 431},
               "Response": {"precision": 0.902, "recall": 0.912, "f1": 0.907, "support": 170}},
    "response_timing": {"median": 0.0, "p90": 1.0, "within_1s": 0.953}, "answer_exact_match": 0.882,
    "skipped": 1, "confusion": [[1768, 19, 3], [8, 410, 13], [4, 11, 155]],
    "tasks": {"grounding": {"samples": 22, "macro_f1": 0.961, "answer_exact_match": 0.93, "within_1s": 0.97},
              "narration": {"samples": 21, "macro_f1": 0.922, "answer_exact_match": 0.81, "within_1s": 0.92},
              "counting": {"samples": 21, "macro_f1": 0.954, "answer_exact_match": null, "within_1s": 0.96}}})");
  core::Rng rng({3});
  eval["response_errors"] = Json::array();
  for (int i = 0; i < 166; ++i) {
    const double draw = rng.uniform();
    eval["response_errors"].push_back(draw < 0.78   ? 0
                                      : draw < 0.9  ? 1
                                      : draw < 0.95 ? -1
                                      : draw < 0.98 ? 2
                                                    : 4);
  }
  const std::array<const char*, 3> tasks = {"grounding", "narration", "counting"};
  const std::array<int, 3> delays = {0, 2, 1};
  eval["timelines"] = Json::array();
  for (int i = 0; i < 12; ++i) {
    eval["timelines"].push_back(fake_timeline(i, tasks[static_cast<size_t>(i) % 3],
                                              24 + 9 * (i % 5),
                                              delays[static_cast<size_t>(i / 2) % 3]));
  }
  return eval;
}

inline void write_fake_run(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  write_fake_metrics(folder, 900);
  std::ofstream(folder / "config.json") << R"({
    "model": {"path": "", "preset": "example", "dtype": "float32", "freeze_vision": false},
    "data": {"train": ["/data/example/stream_format.json"], "fps": 1.0, "max_length": 2048, "packing": true},
    "loss": {"gamma": 2.0, "alpha_scope": "micro_batch"},
    "optim": {"lr": 0.001, "betas": [0.9, 0.999], "weight_decay": 0.1, "schedule": "cosine"},
    "train": {"epochs": 2, "micro_batch_size": 1, "grad_accum_steps": 4}})";
  std::ofstream(folder / "skipped.jsonl")
      << R"({"id": "clip_0031", "reason": "clips/clip_0031.mp4: no video stream"})"
      << "\n"
      << R"({"id": "clip_0207", "reason": "clips/<b>.mp4: 61 frames for 58 placeholders"})"
      << "\n";
  std::ofstream(folder / "eval-450.json") << R"({"macro_f1": 0.111})";
  std::ofstream(folder / "eval-900.json") << fake_eval().dump();
}

}  // namespace streamo::train
