// What is worked out once for each key, however many threads ask for it.
#pragma once

#include <future>
#include <mutex>
#include <string>
#include <unordered_map>

namespace streamo::data {

template <typename Value>
class Memoized {
 public:
  // The value of `key`; the first to ask makes it by `make()`, the others wait for it.
  template <typename Make>
  const Value& get(const std::string& key, const Make& make) {
    std::promise<Value> promise;
    std::shared_future<Value> value;
    bool is_first = false;
    {
      const std::lock_guard lock(mutex_);
      const auto [entry, inserted] = values_.try_emplace(key);
      if (inserted) entry->second = promise.get_future().share();
      is_first = inserted;
      value = entry->second;
    }
    if (is_first) {
      try {
        promise.set_value(make());
      } catch (...) {
        promise.set_exception(std::current_exception());
      }
    }
    return value.get();  // the map keeps the value alive
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_future<Value>> values_;
};

}  // namespace streamo::data
