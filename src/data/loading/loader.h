// Decodes ahead of the training step, on threads, in an order that depends on the plan alone.
#pragma once

#include <cstdint>
#include <memory>

#include "data/loading/batch.h"
#include "data/loading/plan.h"
#include "data/samples/index.h"
#include "data/samples/sample_source.h"
#include "streamo/text/chat_format.h"

namespace streamo::data {

struct LoaderOptions {
  int num_workers = 4;
  int64_t prefetch_bytes =
      256 << 20;  // of decoded pictures waiting; one item is always let through
  int64_t token_side = 28;
};

// A sample that cannot be read is left out of its batch, and listed there: the same one in every
// run, since it is the plan that chose it.
class Loader {
 public:
  // Starts to read at step `first_step`. All references must outlive the loader.
  Loader(const SampleSource& source, const text::ChatFormat& chat, const Index& index, Plan& plan,
         LoaderOptions options, int64_t first_step);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next step; call at most plan.total_steps() - first_step times. Throws what a worker threw.
  StepBatch next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace streamo::data
