// Truth: what is written, read back from a pseudo-terminal and from a file.
#include "core/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

namespace streamo::core {
namespace {

// What a person would see of a program.
class Terminal {
 public:
  Terminal() : main_(::posix_openpt(O_RDWR | O_NOCTTY)) {
    if (::grantpt(main_) != 0 || ::unlockpt(main_) != 0) ADD_FAILURE() << "no pseudo-terminal";
    stream_ = ::fdopen(::open(::ptsname(main_), O_RDWR | O_NOCTTY), "w");
  }
  ~Terminal() {
    std::fclose(stream_);
    ::close(main_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  FILE* stream() const { return stream_; }
  // What it shows, as soon as that is `size` bytes (the kernel hands them on in pieces), or what
  // there is after ten seconds.
  std::string wait_for(size_t size) const {
    std::string shown;
    pollfd readable = {.fd = main_, .events = POLLIN, .revents = 0};
    while (shown.size() < size && ::poll(&readable, 1, 10'000) == 1) {
      std::array<char, 100> piece = {};
      const ssize_t count = ::read(main_, piece.data(), piece.size());
      if (count <= 0) break;
      shown.append(piece.data(), static_cast<size_t>(count));
    }
    return shown;
  }

 private:
  int main_;
  FILE* stream_ = nullptr;
};

TEST(LiveLine, RedrawsOnATerminalAndLeavesTheLastLine) {
  const Terminal terminal;
  {
    LiveLine line(terminal.stream());
    EXPECT_TRUE(line.is_terminal());
    line.finish();  // nothing was shown: no empty line
    line.show("1 of 2");
    line.show("2 of 2");
    line.finish();
    line.show("next");
  }
  const std::string expected = "\r\x1b[K1 of 2\r\x1b[K2 of 2\r\n\r\x1b[Knext\r\n";
  EXPECT_EQ(terminal.wait_for(expected.size()), expected);
}

TEST(LiveLine, IsALineACallElsewhere) {
  FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    LiveLine line(file);
    EXPECT_FALSE(line.is_terminal());
    line.show("1 of 2");
    line.show("2 of 2");
  }
  std::rewind(file);
  std::array<char, 100> written = {};
  const size_t size = std::fread(written.data(), 1, written.size(), file);
  EXPECT_EQ(std::string(written.data(), size), "1 of 2\n2 of 2\n");
  std::fclose(file);
}

TEST(LiveLine, IsDueSoonerOnATerminal) {
  const Terminal terminal;
  FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  LiveLine watched(terminal.stream()), logged(file);
  EXPECT_FALSE(watched.is_due()) << "what takes no time needs no line";
  std::this_thread::sleep_for(std::chrono::milliseconds(210));
  EXPECT_TRUE(watched.is_due());
  EXPECT_FALSE(watched.is_due()) << "it was just now";
  EXPECT_FALSE(logged.is_due());
  std::fclose(file);
}

TEST(LiveLine, IsOfTheFirstRankOnly) {
  FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  set_log_rank(1);
  LiveLine(file).show("news");
  set_log_rank(-1);
  EXPECT_EQ(std::ftell(file), 0);
  std::fclose(file);
}

}  // namespace
}  // namespace streamo::core
