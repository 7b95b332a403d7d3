// A custom AVIOContext over pread, and an io_open that refuses every other file a container refers
// to.
#include "video/ffmpeg/file_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <memory>

#include "core/io/fault_point.h"
#include "core/io/system_error.h"
#include "video/ffmpeg/open_file.h"

namespace streamo::video {
namespace {

constexpr int kBufferBytes = 1 << 16;

struct OpenFile {
  FileDescriptor descriptor;
  FileWatch& watch;
  int64_t place = 0;
};

int read_bytes(void* opaque, uint8_t* buffer, int size) {
  OpenFile& file = *static_cast<OpenFile*>(opaque);
  if (file.watch.limit.expired()) return AVERROR_EXIT;
  if (file.watch.machine_error != 0) return AVERROR(file.watch.machine_error);
  const ssize_t got = core::system_call("video.read", [&] {
    return ::pread(file.descriptor.get(), buffer, static_cast<size_t>(size), file.place);
  });
  if (got == 0) return AVERROR_EOF;
  if (got < 0) return file.watch.failed(errno);
  file.place += got;
  return static_cast<int>(got);
}

int64_t seek(void* opaque, int64_t offset, int whence) {
  OpenFile& file = *static_cast<OpenFile*>(opaque);
  struct stat status {};
  if (::fstat(file.descriptor.get(), &status) < 0) return AVERROR(errno);
  whence &= ~AVSEEK_FORCE;
  if (whence == AVSEEK_SIZE) return status.st_size;
  const int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? file.place : status.st_size;
  if (offset < -from || offset > std::numeric_limits<int64_t>::max() - from) return AVERROR(EINVAL);
  return file.place = from + offset;
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
  FileDescriptor descriptor = open_file(path_);
  if (!descriptor) return watch_.failed(errno);
  std::unique_ptr<OpenFile> file(new OpenFile{std::move(descriptor), watch_});
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

FileSource::Bytes FileSource::open() const {
  AVIOContext* opened = nullptr;
  return Bytes(open(&opened) < 0 ? nullptr : opened);
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
