// What the user says in a turn, written and read back: the question if one is asked, the time tag,
// the placeholder. "Where is the ball?\n<4s-5s>\n<stream>"
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace streamo::data {

// `<4s-5s>`; at other rates the bounds in seconds with as many of three decimals as they need,
// which tell the turns of up to 1000 a second apart.
std::string time_tag(int64_t turn, double fps);
std::string user_content(const std::string& question, int64_t turn, double fps);

// What stands above the time tag with its placeholder, without its closing newline; nullopt where
// there is no such tag.
std::optional<std::string_view> text_above_tag(std::string_view content);
// The question in a user message: of ours exactly what stands above the tag, without its closing
// newline. Files of others have it elsewhere: below the picture, on the tag's line, behind \r, with
// tags like "[00:04]" or "Time: 4 s", or none. "" when nothing is asked.
std::string extract_question(std::string_view content);

// The text without what it asks twice: a line like the one before, or a sentence that stands above.
// Tags and placeholders stay, and so do lines that may belong to two questions ("Yes", "No").
std::string without_repeats(const std::string& text);

}  // namespace streamo::data
