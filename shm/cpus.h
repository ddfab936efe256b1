/* How many processors both ends of a session can have at a time: whether watching memory can pay at all.
 *
 * Entry point: shm_usable_cpus. Stands on libc alone. Threads: any; no state. */
#ifndef SKUA_SHM_CPUS_H
#define SKUA_SHM_CPUS_H

/* At least 1: those of the machine, and no more than the time that the process's cgroup (version 2) and those above it are
 * given, rounded down. Not those that the process is bound to: one end that has a processor of its own gains most of all, and
 * when both share one that shows, because watching is in vain. Asks the system with some calls, none of which waits. */
unsigned shm_usable_cpus(void);

#endif
