// Whether a video or picture is still the file it was, without reading all of it.
#pragma once

#include <string>

#include "streamo/core/error.h"

namespace streamo::data {

// Of its size, its beginning and its end: another file under the same name has another, the same
// file under another name the same. What changed only in between is not noticed. A Fault says why
// it cannot be read. Throws core::Error{kMemory, kDisk} for trouble of the machine.
core::Result<std::string> content_id(const std::string& path);

}  // namespace streamo::data
