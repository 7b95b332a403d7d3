// What all our pages look like.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "core/io/output.h"
#include "streamo/text/special_tokens.h"

namespace streamo::report {

// Classes of the style sheet that have the colour of a state.
inline constexpr std::array<const char*, text::kNumStates> kStateClasses = {"silence", "standby",
                                                                            "response"};

// A self-contained page. Colours are variables with a light and a dark value; the states keep
// theirs through the whole page. `title` and `body` are HTML, `style` is CSS besides the usual.
std::string html_page(const std::string& title, const std::string& body,
                      std::string_view style = "");

// Tells such a page.
core::IsOurs is_our_page();

}  // namespace streamo::report
