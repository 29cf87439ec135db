// What a thread is called, and how much of the machine it claims.
#pragma once

#include <pthread.h>

namespace switchyard {

// As `top -H` and debuggers show the calling thread; at most 15 bytes.
inline void name_thread(const char* name) { pthread_setname_np(pthread_self(), name); }

// The calling thread does in large pieces what nobody waits for (books, records, logs): where all
// processors are busy the event loops, and whoever else is quick, go first. It still gets its share
// of about a quarter, so that work can't pile up behind it for ever. Best effort: a system that
// refuses leaves things as they were.
void work_behind();

}  // namespace switchyard
