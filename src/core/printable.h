// Text from outside as it may be shown: what would steer a terminal, or pose as a line of our own,
// is written out.
#pragma once

#include <string>
#include <string_view>

namespace streamo::core {

// Control characters (C0, DEL, C1) and those that turn the direction of text become \u001b and the
// like, as JSON writes them, so that JSON stays the same JSON; bytes that are not UTF-8 become
// \x9b. Newlines and tabs stay.
std::string printable(std::string_view text);

// The same on one line: newlines and tabs are written out as well.
std::string printable_line(std::string_view text);

}  // namespace streamo::core
