// Named places where a test can make things fail or die: `STREAMO_FAULT=file.rename:3:kill`.
//
// The third hit of "file.rename" then kills the process (SIGKILL). Actions: a signal (kill, term,
// int, hup, usr1, usr2, abort, segv), hang, spin (hang with a busy processor), exit (code 70),
// delay=MS (goes on after so many milliseconds), allocate (until there is no memory left), enospc,
// eio (an Error{kDisk} as the real one would be); or several, as in term+hang. A name may end in *
// ("file.*:7:kill": the seventh of all), a number in + ("file.write:3+:enospc": from the third on).
// Costs one branch when the variable is not set.
// Where a system call is made through system_call(), the action may also be what it fails with:
// emfile, enfile, enomem, eagain, eio, estale, etimedout, enospc, edquot, efbig.
#pragma once

namespace streamo::core {

void fault_point(const char* name);

// As fault_point(); the number of the error that the call at this place is to fail with, 0: none.
int injected_errno(const char* name);

// For what no exception can stand for: whether this hit of `name` is armed with `action`, which the
// caller then does ("nan").
bool fault_asked(const char* name, const char* action);

}  // namespace streamo::core
