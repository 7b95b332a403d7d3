// Which of FFmpeg's readers a file may reach. FFmpeg brings hundreds, many for one game or camera
// of the nineties, and a file chooses among them by its first bytes: whatever is not listed here is
// refused by name.
#pragma once

#include <string>

#include "video/ffmpeg/ffmpeg_handles.h"

namespace streamo::video {

// As FFmpeg's options format_whitelist and codec_whitelist take them.
std::string supported_formats(bool of_network);
std::string supported_decoders();

bool is_supported(const AVInputFormat& format, bool of_network);
bool is_supported(const AVCodec& decoder);

}  // namespace streamo::video
