#include "eval/side_by_side.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "streamo/core/machine.h"
#include "streamo/core/parallel.h"
#include "streamo/model/keep_num_threads.h"

namespace streamo::eval {
void side_by_side(size_t count, int asked, const std::function<void(size_t)>& play) {
  const model::KeepNumThreads keep;
  const int most = static_cast<int>(std::max<size_t>(count, 1));
  const int workers = std::clamp(asked > 0 ? asked : core::num_cores(), 1, most);
  const int each = std::max(1, keep.before() / workers);
  core::parallel_for(count, workers, [&](size_t i) {
    at::set_num_threads(each);  // of this thread
    play(i);
  });
}

}  // namespace streamo::eval
