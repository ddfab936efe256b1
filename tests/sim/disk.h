/* A disk in memory, of one simulated server, that fails and breaks off as the test says.
 *
 * Principal entry points: sim_disk_init, sim_disk_freeze, sim_disk_lose_power, sim_disk_done.
 * Names are kept as they come ("dump.rdb", "appendonlydir/…"). A file that has been unlinked lives on while it is open.
 * Threads: one. */
#ifndef SKUA_TESTS_SIM_DISK_H
#define SKUA_TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "base/rng.h"

struct sim_inode;
struct sim_name;
struct sim_handle;

struct sim_disk {
    struct file_system system; /* for server_options */
    bool frozen;               /* the server has been killed: what it still does has no effect */
    /* Set by the test: after so many operations that change something it freezes, in the middle of a write; 0: never. */
    uint64_t operations_left;
    struct rng *rng; /* how much of that write has an effect; NULL: nothing */
    int write_error; /* an errno for all writes, after some bytes perhaps; 0: none */
    int sync_error;
    uint64_t syncs;
    struct sim_name *names;
    unsigned name_count, name_capacity;
    struct sim_name *synced_names; /* as they were when their directory was synced */
    unsigned synced_count;
    struct sim_handle *handles;
    unsigned handle_count;
};

void sim_disk_init(struct sim_disk *disk);
void sim_disk_done(struct sim_disk *disk);

/* From now on nothing has an effect, and everything succeeds: the server may be freed. */
void sim_disk_freeze(struct sim_disk *disk);
/* Another server begins. Nothing may be open. */
void sim_disk_thaw(struct sim_disk *disk);

/* What is not synced is lost from some point on; and of each directory, perhaps, what has been done to its names. */
void sim_disk_lose_power(struct sim_disk *disk, struct rng *rng);

#endif
