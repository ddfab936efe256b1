/* How many processors the calling thread can use at a time: whether watching memory can pay at all.
 *
 * Entry point: shm_usable_cpus. Stands on libc alone. Threads: any; no state. */
#ifndef SKUA_SHM_CPUS_H
#define SKUA_SHM_CPUS_H

/* At least 1: those that the thread may run on, and no more than the time that its cgroup (version 2) and those above
 * it are given, rounded down. Asks the system with some calls, none of which waits. */
unsigned shm_usable_cpus(void);

#endif
