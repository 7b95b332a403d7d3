// Turns on certificate verification wherever FFmpeg opens a connection.
#include "video/ffmpeg/verified_tls.h"

extern "C" {
#include <libavutil/dict.h>
#include <libavutil/opt.h>
}

#include <atomic>
#include <cstdlib>
#include <string>

#include "video/cache/file_watch.h"

namespace streamo::video {
namespace {

namespace fs = std::filesystem;

constexpr const char *kVerify = "tls_verify", *kTrusted = "ca_file";

std::string trusted_certificates() {
  if (const char* given = std::getenv("SSL_CERT_FILE"); given != nullptr && *given != '\0') {
    return given;
  }
  for (const char* file : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                           "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    std::error_code error;
    if (fs::exists(file, error)) return file;
  }
  return "/etc/ssl/certs/ca-certificates.crt";  // named where it is missed
}

void ask_for_certificates(AVDictionary** options) {
  av_dict_set(options, kVerify, "1", 0);
  av_dict_set(options, kTrusted, trusted_certificates().c_str(), 0);
}

using Open = int (*)(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**);
std::atomic<Open> ffmpegs_own{nullptr};  // the same for every context

// Demuxers of playlists hand some of their options on to what they open, these not among them.
int open_verified(AVFormatContext* context, AVIOContext** opened, const char* url, int flags,
                  AVDictionary** options) {
  AVDictionary* none = nullptr;
  AVDictionary** entries = options != nullptr ? options : &none;
  ask_for_certificates(entries);
  const int result = ffmpegs_own.load()(context, opened, url, flags, entries);
  av_dict_free(&none);
  return result;
}

}  // namespace

void verify_servers(AVFormatContext& context, AVDictionary** options) {
  ask_for_certificates(options);  // for demuxers that connect by themselves
  ffmpegs_own = context.io_open;
  context.io_open = open_verified;
}

std::optional<core::Fault> unverifiable(const fs::path& url) {
  if (!url.native().starts_with("rtsps://")) return std::nullopt;
  // It connects by itself, and has options for that in later versions only.
  const AVInputFormat* rtsp = av_find_input_format("rtsp");
  const AVClass* options = rtsp == nullptr ? nullptr : rtsp->priv_class;
  if (options != nullptr &&
      av_opt_find(&options, kVerify, nullptr, 0, AV_OPT_SEARCH_FAKE_OBJ) != nullptr) {
    return std::nullopt;
  }
  return file_fault(url,
                    "this FFmpeg cannot verify the server of an rtsps URL; where you trust the "
                    "network, let the ffmpeg program read it and pipe its output in");
}

}  // namespace streamo::video
