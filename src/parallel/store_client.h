// The store of a run, as its processes use it.
#pragma once

#include <mutex>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "parallel/store_wire.h"

namespace streamo::parallel {

class StoreClient : public c10d::Store {
 public:
  // Tries again until rank 0 listens there, for at most `patience`. Throws core::Error{kUsage} when
  // it has another secret, std::runtime_error when nobody answers.
  StoreClient(std::string host, int port, std::string secret, std::chrono::milliseconds patience);

  c10::intrusive_ptr<Store> clone() override;
  void set(const std::string& key, const std::vector<uint8_t>& value) override;
  std::vector<uint8_t> compareSet(const std::string& key, const std::vector<uint8_t>& expected,
                                  const std::vector<uint8_t>& desired) override;
  // Waits until there is a value, as wait() does: for the store's timeout.
  std::vector<uint8_t> get(const std::string& key) override;
  int64_t add(const std::string& key, int64_t value) override;
  bool deleteKey(const std::string& key) override;
  bool check(const std::vector<std::string>& keys) override;
  int64_t getNumKeys() override;
  void wait(const std::vector<std::string>& keys) override;
  void wait(const std::vector<std::string>& keys,
            const std::chrono::milliseconds& timeout) override;
  using Store::compareSet;
  using Store::set;

 private:
  Message ask(const Message& message);

  const std::string host_, secret_;
  const int port_;
  std::mutex mutex_;
  Socket socket_;
};

}  // namespace streamo::parallel
