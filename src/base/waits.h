/* How somebody has waited who can wait without the kernel. Threads: one writer, any reader. */
#ifndef SKUA_BASE_WAITS_H
#define SKUA_BASE_WAITS_H

#include <stdatomic.h>
#include <stdint.h>

struct waits {
    _Atomic uint64_t spins; /* looked again and again for a while */
    _Atomic uint64_t parks; /* went to sleep */
    _Atomic uint64_t bells; /* woke its peer */
};

#endif
