// The name of a thread, as `top -H` and debuggers show it.
#pragma once

#include <pthread.h>

namespace switchyard {

// Of the calling thread; at most 15 bytes.
inline void name_thread(const char* name) { pthread_setname_np(pthread_self(), name); }

}  // namespace switchyard
