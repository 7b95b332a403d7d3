// URLs where a file name may stand, and what of them may be shown.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace streamo::core {

// "scheme://...", and no file of that name: "12:30.mp4" and "http://x.mp4" are files where they
// exist. "file:///clip.mp4" is no URL: local_file() gives the name in it.
bool is_url(const std::filesystem::path& source);
std::filesystem::path local_file(const std::filesystem::path& source);

// The text with every URL in it stripped of what may be secret: name and password, query,
// fragment. "https://me:pw@host/a.mp4?token=1" becomes "https://***@host/a.mp4?***", and where a
// password hides its end ("rtsp://me:p?w@host") nothing is left but "rtsp://***". log_line() does
// so with every message; what is printed or written elsewhere about a video goes through this, too.
std::string redact(std::string_view text);
// The same of a file name or URL: a blank does not end it.
std::string redact_source(const std::filesystem::path& source);

}  // namespace streamo::core
