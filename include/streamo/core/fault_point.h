// Named places where a test can make things fail or die: `STREAMO_FAULT=file.rename:3:kill`.
//
// The third hit of "file.rename" then kills the process (SIGKILL). Actions: kill, term (SIGTERM),
// hang, exit (code 70), enospc, eio (an Error{kDisk} as the real one would be). A name may end in *
// ("file.*:7:kill": the seventh of all), a number in + ("file.write:3+:enospc": from the third on).
// Costs one branch when the variable is not set.
#pragma once

namespace streamo::core {

void fault_point(const char* name);

}  // namespace streamo::core
