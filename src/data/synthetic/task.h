// The embedded example: small videos of passing shapes, and what a live viewer should say about
// them.
//
// A stand-in for real annotated footage that anyone can make in a minute and learn in ten: real
// H.264 files of several sizes, frame rates and GOPs, in the published raw annotation format, with
// all four kinds of task (event grounding, narration, scene captions, time-sensitive questions).
#pragma once

#include <cstdint>
#include <filesystem>

namespace streamo::data {

struct ExampleTaskOptions {
  std::filesystem::path out_dir;
  int64_t num_clips = 1000;
  uint64_t seed = 0;
  int num_workers = 0;  // threads; 0: one a core
};

// Writes out_dir/videos/000000.mp4 ..., out_dir/raw_data.json (paths relative to out_dir) and,
// last, out_dir/synthesize.json, which records what was asked; a folder that holds the same set
// already is left alone. Clip i is a function of (seed, i) only: the same options give the same
// raw_data.json, byte for byte, with any number of workers. Throws core::Error{kDisk}.
void synthesize_example_task(const ExampleTaskOptions& options);

}  // namespace streamo::data
