// Threads that wait for work. One caller's work at a time; whoever finds them busy does its work alone rather than wait.
#pragma once

namespace initium {

// Calls body(context) on this thread and, as far as helpers are free, on up to threads - 1 others, at the same time; returns
// when all calls have. When the call on this thread returns, no work may be left for a helper that comes late.
void run_on_threads(int threads, void (*body)(void *), void *context);

}  // namespace initium
