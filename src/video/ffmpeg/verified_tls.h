// TLS to servers that somebody vouches for, which FFmpeg by itself does not ask.
#pragma once

#include <filesystem>
#include <optional>

#include "streamo/core/error.h"
#include "video/ffmpeg/ffmpeg_handles.h"

namespace streamo::video {

// From then on every connection that `context` opens by TLS, also for the parts of a playlist,
// fails unless the server's certificate is signed by one of SSL_CERT_FILE, as other programs have
// it, or of the system. `options` are those that it is opened with.
void verify_servers(AVFormatContext& context, AVDictionary** options);

// A Fault for a kind of URL whose server this FFmpeg cannot verify.
std::optional<core::Fault> unverifiable(const std::filesystem::path& url);

}  // namespace streamo::video
