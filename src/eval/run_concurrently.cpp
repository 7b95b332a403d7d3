// Divides the CPU threads between concurrent samples. at::set_num_threads is per thread, hence the
// call inside the worker.
#include "eval/run_concurrently.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "core/process/machine.h"
#include "core/process/parallel.h"
#include "nn/thread_count_guard.h"

namespace streamo::eval {
void run_concurrently(size_t count, int asked, const std::function<void(size_t)>& play) {
  const nn::ThreadCountGuard keep;
  const int most = static_cast<int>(std::max<size_t>(count, 1));
  const int workers = std::clamp(asked > 0 ? asked : core::num_cores(), 1, most);
  const int each = std::max(1, keep.before() / workers);
  core::parallel_for(count, workers, [&](size_t i) {
    at::set_num_threads(each);  // of this thread
    play(i);
  });
}

}  // namespace streamo::eval
