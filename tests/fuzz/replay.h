// A fuzz target as a test: its corpus and mutations of it, always the same ones.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string_view>

namespace streamo::fuzz {

// Each input is left in a file of the name that a failure tells while it is tried: a crash leaves
// the input that caused it.
void replay(const char* name, const std::function<void(std::string_view)>& target, int mutations);

}  // namespace streamo::fuzz
