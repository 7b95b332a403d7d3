// The store of a run: what it answers (truth: c10d's HashStore), where it listens (truth: the
// kernel's table of sockets), and what strangers achieve.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <vector>

#include "parallel/ranks.h"
#include "parallel/rendezvous.h"
#include "parallel/store_client.h"
#include "streamo/core/error.h"
#include "support/free_port.h"

namespace streamo::parallel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kSecret = "known to the run";
constexpr const char* kLoopbackInTable = "0100007F";  // 127.0.0.1

// Local addresses of the sockets that listen on `port`, as hexadecimal numbers.
std::vector<std::string> listening_on(int port) {
  std::vector<std::string> addresses;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream in(table);
    std::string line;
    while (std::getline(in, line)) {
      std::string number, local, remote, state;
      std::istringstream(line) >> number >> local >> remote >> state;
      const size_t colon = local.find(':');
      if (state == "0A" && local.substr(colon + 1) == fmt::format("{:04X}", port))
        addresses.push_back(local.substr(0, colon));
    }
  }
  return addresses;
}

Launch first_rank(const std::string& master, bool one_machine) {
  Launch launch{.rank = 0, .world_size = 2, .one_machine = one_machine, .secret = kSecret};
  launch.master_address = master;
  launch.master_port = test::free_port();
  return launch;
}

StorePtr connect(const Launch& launch, const StoreAddress& meeting) {
  return connect_store(launch, meeting, seconds(5));
}

TEST(Store, ListensOnTheMastersAddressAlone) {
  const Launch given = first_rank("127.0.0.2", false);
  const StoreAddress meeting = find_store(given, seconds(5));
  EXPECT_THAT(listening_on(given.master_port), ElementsAre("0200007F"));
  EXPECT_NO_THROW(connect(given, meeting)->set("a", "1"));
}

// Whatever the master is called: here an address that is not this machine's.
TEST(Store, ListensOnLoopbackAloneForARunOnOneMachine) {
  const Launch given = first_rank("192.0.2.1", true);
  const StoreAddress meeting = find_store(given, seconds(5));
  EXPECT_THAT(listening_on(given.master_port), ElementsAre(kLoopbackInTable));
  EXPECT_NO_THROW(connect(given, meeting)->set("a", "1"));
}

TEST(Store, APortThatIsTakenIsAnError) {
  const Launch given = first_rank("127.0.0.1", true);
  const StoreAddress meeting = find_store(given, seconds(5));
  EXPECT_THROW(find_store(given, seconds(5)), std::runtime_error);
}

TEST(Store, AnswersAsTheStoresOfC10d) {
  const Launch given = first_rank("127.0.0.1", true);
  const StoreAddress meeting = find_store(given, seconds(5));
  const StorePtr ours = connect(given, meeting);
  const StorePtr other = c10::make_intrusive<c10d::HashStore>();
  for (const auto& ask : std::vector<std::function<std::string(c10d::Store&)>>{
           [](auto& s) { return s.set("text", "a\0b"), s.get_to_str("text"); },
           [](auto& s) { return s.compareSet("text", "x", "y"); },
           [](auto& s) { return s.compareSet("text", "a", "y"); },
           [](auto& s) { return s.compareSet("new", "", "first"); },
           [](auto& s) { return s.compareSet("other", "expected", "y"); },
           [](auto& s) { return std::to_string(s.add("sum", 5)); },
           [](auto& s) { return std::to_string(s.add("sum", -7)); },
           [](auto& s) { return s.get_to_str("sum"); },
           [](auto& s) {
             return std::to_string(s.check({"sum", "text"}));
           },
           [](auto& s) {
             return std::to_string(s.check({"sum", "none"}));
           },
           [](auto& s) { return std::to_string(s.deleteKey("sum")); },
           [](auto& s) { return std::to_string(s.deleteKey("sum")); },
           [](auto& s) { return std::to_string(s.check({"sum"})); },
           [](auto& s) { return s.set("large", std::vector<uint8_t>(1 << 20, 7)), "set"; },
           [](auto& s) { return std::to_string(s.get("large").size()); }}) {
    EXPECT_EQ(ask(*ours), ask(*other));
  }
  EXPECT_THROW(ours->wait({"text", "none"}, milliseconds(20)), std::runtime_error);
}

TEST(Store, AWaitEndsWhenAnotherSetsTheKey) {
  const Launch given = first_rank("127.0.0.1", true);
  const StoreAddress meeting = find_store(given, seconds(5));
  const StorePtr waiting = connect(given, meeting), setting = connect(given, meeting);
  std::string got;
  std::thread waiter([&] { got = waiting->get_to_str("late"); });
  setting->set("late", "there");
  waiter.join();
  EXPECT_EQ(got, "there");
}

// While somebody waits in it, too.
TEST(Store, HangsUpAtItsEnd) {
  const Launch given = first_rank("127.0.0.1", true);
  StoreAddress meeting = find_store(given, seconds(5));
  const StorePtr store = connect(given, meeting);
  std::thread waiter([&] { EXPECT_THROW(store->get("never"), std::runtime_error); });
  meeting.served.reset();
  waiter.join();
}

Socket stranger_at(int port) {
  Socket socket;
  any_address("127.0.0.1", port, [&](const sockaddr& address, socklen_t size) {
    socket = Socket(::socket(address.sa_family, SOCK_STREAM, 0));
    return ::connect(socket.get(), &address, size) == 0;
  });
  return socket;
}

// What comes after the greeting: nothing, for who does not know the secret.
bool is_hung_up_on(const Socket& socket) {
  std::array<char, 40> greeting{};
  socket.receive(greeting.data(), greeting.size(), std::nullopt);
  char more = 0;
  return ::recv(socket.get(), &more, 1, 0) <= 0;
}

TEST(Store, StrangersAreTurnedAway) {
  const Launch given = first_rank("127.0.0.1", true);
  const StoreAddress meeting = find_store(given, seconds(5));
  const StorePtr store = connect(given, meeting);
  store->set("kept", "1");
  Launch stranger = given;
  for (const char* secret : {"", "known to the ruN", "another"}) {
    stranger.secret = secret;
    try {
      connect(stranger, meeting);
      ADD_FAILURE() << secret;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::kUsage);
      EXPECT_THAT(error.what(), HasSubstr("STREAMO_RUN_SECRET"));
    }
  }
  // What c10d's store would take for "refused" being set, and a flood of those who say nothing.
  const Socket shouting = stranger_at(given.master_port);
  const std::string set = "\x01" + std::string("\x12\0\0\0\0\0\0\0/streamo-0/refused", 26) + "xxxx";
  shouting.send(set.data(), set.size());
  const std::string rest(64, 'x');
  shouting.send(rest.data(), rest.size());
  EXPECT_TRUE(is_hung_up_on(shouting));
  std::vector<Socket> silent;
  for (int i = 0; i < 300; ++i) silent.push_back(stranger_at(given.master_port));
  EXPECT_EQ(refusal(*store), "");
  EXPECT_EQ(store->get_to_str("kept"), "1");
  EXPECT_EQ(store->getNumKeys(), 1);
}

// Who listens in rank 0's place without the secret is not believed.
TEST(Store, AFalseMasterIsNotBelieved) {
  const Launch given = first_rank("127.0.0.1", true);
  const StoreServer stranger(listen_at("127.0.0.1", given.master_port), "another secret");
  const StoreAddress meeting{"127.0.0.1", given.master_port, nullptr};
  EXPECT_THROW(connect(given, meeting), core::Error);
}

// The agent's own store, at the master's port, tells where ours is, and no more.
TEST(Store, IsFoundThroughTorchrunsAgent) {
  ::setenv("TORCH_FR_BUFFER_SIZE", "0", /*overwrite=*/1);  // as in support/with_ranks.h
  c10d::TCPStoreOptions options;
  options.port = 0;
  options.isServer = true;
  options.waitWorkers = false;
  c10d::TCPStore agent("127.0.0.1", options);
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([&, rank] {
      Launch launch = first_rank("127.0.0.1", true);
      launch.rank = rank;
      launch.master_port = agent.getPort();
      launch.agent_serves_store = true;
      Ranks run(launch, seconds(20));
      EXPECT_EQ(run.sum(1.0), 2.0);
    });
  }
  for (std::thread& rank : ranks) rank.join();
  const std::vector<std::string> keys = agent.listKeys();
  EXPECT_EQ(std::count_if(
                keys.begin(), keys.end(),
                [](const std::string& key) { return key.find("streamo") != std::string::npos; }),
            1);
}

}  // namespace
}  // namespace streamo::parallel
