/* Thread roles: each thread says what it is once, functions assert it.
 *
 * A thread may hold several roles: with `io-threads 0` the executor also does the I/O. */
#ifndef SKUA_BASE_ROLE_H
#define SKUA_BASE_ROLE_H

#include "base/bug.h"

enum role {
    ROLE_EXECUTOR = 1 << 0,
    ROLE_IO = 1 << 1,
    ROLE_WORKER = 1 << 2,
};

/* 0 in threads that never said (tests): such threads may do everything. */
extern _Thread_local unsigned role_of_thread;

static inline void role_set(unsigned roles)
{
    role_of_thread = roles;
}

#define ASSERT_ROLE(role) DEBUG_ASSERT(role_of_thread == 0 || (role_of_thread & (role)))

#endif
