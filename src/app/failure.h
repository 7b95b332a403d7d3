// What a command ended with, for whoever started it.
#pragma once

#include <exception>

#include "streamo/core/error.h"

namespace streamo::app {

// Whatever was thrown as an Error with its kind, place and hint: what the standard library and
// LibTorch throw when the machine is at a limit is the machine's trouble. kInternal is left for
// what is none of these, our bugs.
core::Error as_error(const std::exception& thrown);

}  // namespace streamo::app
