#include "file_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace streamo::video {
namespace {

constexpr int kBufferBytes = 1 << 16;

struct OpenFile {
  OpenFile(int opened, TimeLimit& time_limit) : descriptor(opened), limit(time_limit) {}
  ~OpenFile() { ::close(descriptor); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int descriptor;
  TimeLimit& limit;
};

int read_bytes(void* opaque, uint8_t* buffer, int size) {
  const OpenFile& file = *static_cast<OpenFile*>(opaque);
  for (;;) {
    if (file.limit.is_up()) return AVERROR_EXIT;
    const ssize_t got = ::read(file.descriptor, buffer, static_cast<size_t>(size));
    if (got > 0) return static_cast<int>(got);
    if (got == 0) return AVERROR_EOF;
    if (errno != EINTR) return AVERROR(errno);
  }
}

int64_t seek(void* opaque, int64_t offset, int whence) {
  const OpenFile& file = *static_cast<OpenFile*>(opaque);
  if (whence == AVSEEK_SIZE) {
    struct stat status {};
    return ::fstat(file.descriptor, &status) < 0 ? AVERROR(errno) : int64_t{status.st_size};
  }
  const off_t place = ::lseek(file.descriptor, offset, whence & ~AVSEEK_FORCE);
  return place < 0 ? AVERROR(errno) : int64_t{place};
}

// O_NONBLOCK: a pipe opens at once, and is then refused.
int open_regular(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return AVERROR(errno);
  struct stat status {};
  if (::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) return descriptor;
  ::close(descriptor);
  return AVERROR(EINVAL);
}

int close_file(AVFormatContext* /*context*/, AVIOContext* opened) {
  const std::unique_ptr<OpenFile> file(static_cast<OpenFile*>(opened->opaque));
  av_freep(&opened->buffer);
  avio_context_free(&opened);
  return 0;
}

}  // namespace

void FileSource::Closer::operator()(AVIOContext* opened) const {
  close_file(nullptr, opened);
}

int FileSource::open(AVIOContext** opened) const {
  const int descriptor = open_regular(path_);
  if (descriptor < 0) return descriptor;
  auto file = std::make_unique<OpenFile>(descriptor, limit_);
  auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
  *opened = buffer == nullptr ? nullptr
                              : avio_alloc_context(buffer, kBufferBytes, 0, file.get(), read_bytes,
                                                   nullptr, seek);
  if (*opened == nullptr) {
    av_free(buffer);
    return AVERROR(ENOMEM);
  }
  (*opened)->seekable = AVIO_SEEKABLE_NORMAL;
  static_cast<void>(file.release());  // close_file has it
  return 0;
}

// Picture formats open the file themselves.
int FileSource::open_again(AVFormatContext* context, AVIOContext** opened, const char* url,
                           int /*flags*/, AVDictionary** /*options*/) {
  const FileSource& source = *static_cast<FileSource*>(context->opaque);
  if (source.url() == url) return source.open(opened);
  av_log(context, AV_LOG_ERROR, "it refers to another file, %s, which is not opened", url);
  return AVERROR(EACCES);
}

int FileSource::attach(AVFormatContext& context) {
  AVIOContext* opened = nullptr;
  const int result = open(&opened);
  if (result < 0) return result;
  opened_.reset(opened);
  context.pb = opened;
  context.opaque = this;
  context.io_open = open_again;
  context.io_close2 = close_file;
  return 0;
}

}  // namespace streamo::video
