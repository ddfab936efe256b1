/* Where the server's memory is.
 *
 * Principal entry points: memory_measure, memory_watch_sample.
 * Threads: executor only. */
#include "observe/memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "exec/exec.h"

void memory_watch_init(struct memory_watch *watch)
{
    watch->startup = mem_used();
    watch->peak = watch->startup;
}

void memory_watch_sample(struct memory_watch *watch)
{
    uint64_t used = mem_used();
    if (used > watch->peak)
        watch->peak = used;
}

/* The second number of /proc/self/statm, in pages; 0 where there is no /proc. A read of procfs does not wait for
 * a device. */
static uint64_t resident_bytes(void)
{
    unsigned long long total_pages = 0;
    unsigned long long resident_pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &total_pages, &resident_pages) != 2)
        resident_pages = 0;
    fclose(file);
    return resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t client_bytes(const struct exec *exec)
{
    uint64_t bytes = 0;
    list_for_each(&exec->clients, node)
    {
        const struct client *client = list_entry(node, struct client, in_clients);
        const struct conn_shared *shared = client->shared;
        bytes += sizeof *client + reply_size(&client->out);
        if (shared)
            bytes += shared->query_bytes + shared->query_free + conn_shared_unsent(shared);
    }
    return bytes;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void memory_measure(const struct exec *exec, const struct io_group *io, struct memory_watch *watch,
                    struct memory_figures *ret_figures)
{
    struct memory_figures figures = {0};
    memory_watch_sample(watch);
    figures.used = mem_used();
    figures.peak = watch->peak;
    figures.startup = watch->startup;
    figures.clients = client_bytes(exec);
    for (uint32_t i = 0; i < exec->keyspace->db_count; i++) {
        figures.tables += table_memory(exec->keyspace->dbs[i].keys);
        figures.keys += table_size(exec->keyspace->dbs[i].keys);
    }
    if (io)
        io_group_memory(io, &figures.io);
    uint64_t overhead =
        figures.startup + figures.clients + figures.tables + figures.io.threads + figures.io.spare;
    figures.overhead = least(overhead, figures.used);
    figures.dataset = figures.used - figures.overhead;
    figures.process = resident_bytes();

    heap_stats(exec->keyspace->heap, &figures.slabs);
    ahead_figures(exec->keyspace->ahead, &figures.ahead);
    allocator_figures(&figures.allocator);
    figures.allocator.allocated += figures.slabs.used_bytes;
    figures.allocator.active += figures.slabs.slab_bytes;
    figures.allocator.resident += figures.slabs.slab_bytes + figures.ahead.waiting_bytes;
    *ret_figures = figures;
}
