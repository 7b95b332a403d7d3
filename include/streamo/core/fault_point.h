// Named places where a test can make things fail or die: `STREAMO_FAULT=file.rename:3:kill`.
//
// The third hit of "file.rename" then kills the process (SIGKILL). Actions: kill, term (SIGTERM),
// hang, exit (code 70), enospc, eio (an Error{kDisk} as the real one would be). Costs one branch when
// the variable is not set.
#pragma once

namespace streamo::core {

void fault_point(const char* name);

}  // namespace streamo::core
