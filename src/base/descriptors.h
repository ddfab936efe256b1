/* The process's limit of open file descriptors, of which each client needs one, or two if it uses shared memory. Threads: any. */
#ifndef SKUA_BASE_DESCRIPTORS_H
#define SKUA_BASE_DESCRIPTORS_H

#include <stdint.h>

/* Descriptors that are needed beside those of clients: listeners, event loops and their bells, log, files. */
#define DESCRIPTORS_RESERVED 64

/* Raises the limit as far as `clients` clients need and the system permits. Returns how many clients are possible, at
 * most `clients` and at least 1. */
int64_t descriptors_raise(int64_t clients);

/* How many descriptors clients may have together as the limit is now; at least 1. */
uint64_t descriptors_for_clients(void);

#endif
