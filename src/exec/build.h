/* Blocks built ahead: the thread that has parsed a SET copies key and value into the entry that the command will publish, from
 * a heap of its own (a sibling of the keyspace's), while the bytes are in its cache. The executor publishes the pointer.
 *
 * Principal entry points: build_value, build_note_seen (I/O threads), call_take_built (exec/call.h), build_release (executor).
 * Decision 010 has the reasons. Threads: said at each function.
 *
 * Which commands: those that declare `stores`. What the executor knows better is left to it: the access clock, the time to
 * live (only room for it is reserved where the words look like one), and whether the command stores anything at all. */
#ifndef SKUA_EXEC_BUILD_H
#define SKUA_EXEC_BUILD_H

#include "base/heap.h"
#include "exec/request.h"

struct shared_read; /* keyspace/shared.h */

/* Builds the block for the run's last request, whose arguments are `argv`, if its command stores one and it is a block of the
 * heap's (large ones are not); moves the key's slice into it. The heap's owner. */
void build_value(struct heap *heap, struct run *run, struct slice *argv);

/* Notes for one of the run's requests, which is_plain, that `entry` was found to be its key's in a section of this epoch, if it is one
 * that the executor can do without looking at it. The heap's owner, in that section. */
void build_note_seen(struct run *run, struct request *request, struct entry *entry, uint64_t epoch);

/* Looks its key up, and notes what is there; `likely_entry` is probably that, or NULL. The heap's owner, in a section. */
void build_see(const struct shared_read *read, uint32_t db, struct run *run, struct request *request,
               struct entry *likely_entry);

/* Releases what the run's commands have not taken. Executor; `heap` is the keyspace's. */
void build_release(struct heap *heap, struct run *run);

#endif
