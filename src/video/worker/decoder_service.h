// What a decoder process does: reads files for its parent.
#pragma once

namespace streamo::video {

// The descriptors that it is started with.
inline constexpr int kDecoderSocket = 3, kDecoderMemory = 4;
inline constexpr int kCannotBeConfined = 3;  // its exit code

// Confines this process, answers what is asked, and returns its exit code when the parent is gone.
int serve_decoding();

}  // namespace streamo::video
