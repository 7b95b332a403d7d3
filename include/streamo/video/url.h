// Videos named by URL instead of by file name.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace streamo::video {

// "scheme://...", and no file of that name: "12:30.mp4" and "http://x.mp4" are files where they
// exist. "file:///clip.mp4" is no URL: local_file() gives the name in it.
bool is_url(const std::filesystem::path& source);
std::filesystem::path local_file(const std::filesystem::path& source);

// The text with every URL in it stripped of what may be secret: name and password, query,
// fragment. "https://me:pw@host/a.mp4?token=1" becomes "https://***@host/a.mp4?***". Everything
// that is printed or written about a video goes through this.
std::string redact(std::string_view text);

}  // namespace streamo::video
