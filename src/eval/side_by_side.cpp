#include "eval/side_by_side.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "streamo/core/parallel.h"

namespace streamo::eval {
namespace {

// Of an operator that this thread calls.
class KeptThreads {
 public:
  KeptThreads() = default;
  ~KeptThreads() { at::set_num_threads(number_); }
  KeptThreads(const KeptThreads&) = delete;
  KeptThreads& operator=(const KeptThreads&) = delete;
  int number() const { return number_; }

 private:
  int number_ = at::get_num_threads();
};

}  // namespace

void side_by_side(size_t count, int asked, const std::function<void(size_t)>& play) {
  const KeptThreads kept;
  const int most = static_cast<int>(std::max<size_t>(count, 1));
  const int workers = std::clamp(asked > 0 ? asked : core::num_cores(), 1, most);
  const int each = std::max(1, kept.number() / workers);
  core::parallel_for(count, workers, [&](size_t i) {
    at::set_num_threads(each);  // of this thread
    play(i);
  });
}

}  // namespace streamo::eval
