/* What a SET costs the executor behind a ring: one thread makes runs of SETs as an I/O thread does, another executes them, in turns,
 * each on a processor of its own. No sockets, no sleeping, nobody else's time: CPU time of the executor's thread around each batch.
 *
 *     build/bench/executor -k 3000000 -d 512 -c 50 -P 16 -b 2000
 *
 * Prints nanoseconds a request: the quartiles and the mean over the batches. For comparisons run two builds in turns: with -i
 * each waits for a line before each of its rounds.
 * Threads: main is the executor, maker() the I/O thread; a pair of semaphores hands the turn over. */
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ahead.h"
#include "base/alloc.h"
#include "base/bug.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/role.h"
#include "base/worker.h"
#include "config/config.h"
#include "exec/build.h"
#include "exec/exec.h"
#include "io/conn.h"
#include "io/internal.h"

#define HASH_SEED     1
#define KEY_SIZE_MIN  16
#define KEY_SIZE_MAX  64
#define VALUE_MAX     4000
#define CONNS_MAX     1000
#define PIPELINE_MAX  RUN_REQUESTS
#define DEFAULT_KEYS  3000000
#define DEFAULT_COUNT 2000

struct bench {
    struct exec *exec;
    struct io_group *group;
    struct io *io;
    struct conn *conns[CONNS_MAX];
    uint64_t keys;
    unsigned key_size, value_size, conn_count, pipeline;
    struct rng rng;
    _Atomic uint64_t next_key; /* below `keys`: each is stored once, in order; from there on at random */
    const struct command *set;
    char value[VALUE_MAX];
    sem_t made, executed;
    bool ends; /* before `executed` is posted */
};

static void pin_to(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set); /* with one processor it is meaningless anyway */
}

/* ---- The I/O thread ------------------------------------------------------------------------------- */

static void take_answers(struct bench *bench)
{
    struct io *io = bench->io;
    void *message;
    while ((message = ring_pop(&io->from_exec))) {
        void *subject = (void *)((uintptr_t)message & ~IO_MESSAGE_MASK);
        switch ((uintptr_t)message & IO_MESSAGE_MASK) {
        case IO_RUN_DONE: io_run_put(io, subject); break;
        case IO_OUTPUT: {
            struct chunk *chunk = subject;
            struct conn *conn = chunk->route;
            ASSERT(chunk->next == NULL && memcmp(chunk->data + chunk->start, "+OK\r\n", 5) == 0);
            atomic_fetch_sub(&conn->shared.output_bytes, chunk->end - chunk->start);
            chunk_put(io->chunks, chunk);
            break;
        }
        default: BUG("message");
        }
    }
    ring_retire(&io->from_exec);
}

static void write_name(struct bench *bench, char *name)
{
    uint64_t key = bench->next_key < bench->keys ? bench->next_key++ : rng_below(&bench->rng, bench->keys);
    memset(name, '0', bench->key_size);
    for (unsigned at = bench->key_size; key; key /= 10)
        name[--at] = (char)('0' + key % 10);
}

static void make_run(struct bench *bench, struct conn *conn)
{
    struct io *io = bench->io;
    struct run *run = io_run_get(io);
    run->conn = conn;
    run->arrived_ticks = clock_ticks(bench->exec->clock);
    run->input = chunk_pool_get(io->chunks);
    run->input->refs = 1;
    for (unsigned i = 0; i < bench->pipeline; i++) {
        char *name = run->input->data + (size_t)i * KEY_SIZE_MAX;
        struct slice *argv = &run->arguments[run->argument_count];
        run->argument_count += 3;
        write_name(bench, name);
        argv[0] = SLICE("SET");
        argv[1] = slice_make(name, bench->key_size);
        argv[2] = slice_make(bench->value, bench->value_size);
        run->requests[run->count++] = (struct request){.command = bench->set,
                                                       .argv = argv,
                                                       .argc = 3,
                                                       .bytes = bench->value_size + 50,
                                                       .key_hash = hash_slice(argv[1], HASH_SEED),
                                                       .has_key = true};
        build_value(io->heap, run, argv);
    }
    run->followed = (uint16_t)(run->count / 2);
    run->stop = (uint16_t)(run->followed + 1);
    io_tell(io, IO_RUN, run);
}

static void *maker(void *argument)
{
    struct bench *bench = argument;
    role_set(ROLE_IO);
    pin_to(0);
    while (!bench->ends) {
        take_answers(bench);
        for (unsigned i = 0; i < bench->conn_count; i++)
            make_run(bench, bench->conns[i]);
        io_fetch_told(bench->io);
        ring_publish(&bench->io->to_exec);
        sem_post(&bench->made);
        sem_wait(&bench->executed);
    }
    return NULL;
}

/* ---- The executor --------------------------------------------------------------------------------- */

/* Nanoseconds of a batch. */
static uint64_t execute(struct bench *bench)
{
    sem_wait(&bench->made);
    uint64_t begin_ns = clock_thread_cpu_ns();
    io_bridge_serve(bench->group);
    ring_publish(&bench->io->from_exec);
    return clock_thread_cpu_ns() - begin_ns;
}

static struct io *new_io(struct bench *bench)
{
    struct io *io = mem_calloc(1, sizeof *io);
    io->group = bench->group;
    io->index = 1;
    io->port = io_port;
    io->running = true;
    chunk_pool_init(&io->chunks_own, IO_CHUNKS_KEPT);
    io->chunks = &io->chunks_own;
    ring_init(&io->to_exec, IO_RING_SLOTS);
    ring_init(&io->from_exec, IO_RING_SLOTS);
    io->heap = heap_new_sibling(bench->exec->heap);
    heap_attend(io->heap, true);
    io->direct = exec_expect_reader(bench->exec, 1);
    bench->group->ios[1] = io;
    atomic_store(&bench->group->io_count, 2);
    return io;
}

static void begin(struct bench *bench, struct clock *clock, struct chunk_pool *chunks)
{
    struct loop *loop;
    struct config *config = config_new();
    clock_init_real(clock);
    chunk_pool_init(chunks, IO_CHUNKS_KEPT);
    role_set(ROLE_EXECUTOR);
    if (loop_new(&(struct loop_options){.clock = clock}, &loop) != ST_OK)
        fatal("no event loop");
    bench->exec = exec_new(&(struct exec_options){.clock = clock,
                                                  .config = config,
                                                  .chunks = chunks,
                                                  .workers = worker_pool_new(1, 0),
                                                  .seed = 1,
                                                  .hash_seed = HASH_SEED});
    ahead_set_on(bench->exec->keyspace->ahead, true);
    bench->group = io_group_new(&(struct io_options){
        .clock = clock, .config = config, .exec = bench->exec, .loop = loop, .hash_seed = HASH_SEED});
    bench->io = new_io(bench);
    exec_set_reader_threads(bench->exec, 1);
    for (unsigned i = 0; i < bench->conn_count; i++) {
        struct conn *conn = bench->conns[i] = mem_calloc(1, sizeof *conn);
        conn->io = bench->io;
        conn->shared.id = i + 1;
        conn->client = exec_client_opened(bench->exec, &bench->io->port, conn, &conn->shared);
    }
    bench->set = command_lookup(SLICE("SET"));
    rng_seed(&bench->rng, 1);
    memset(bench->value, 'x', sizeof bench->value);
    sem_init(&bench->made, 0, 0);
    sem_init(&bench->executed, 0, 0);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void report(const struct bench *bench, uint64_t *batches, unsigned count)
{
    uint64_t sum = 0;
    double requests = bench->conn_count * bench->pipeline;
    for (unsigned i = 0; i < count; i++)
        sum += batches[i];
    qsort(batches, count, sizeof *batches, compare);
    printf("%.1f %.1f %.1f mean %.1f\n", (double)batches[count / 4] / requests,
           (double)batches[count / 2] / requests, (double)batches[count / 4 * 3] / requests,
           (double)sum / count / requests);
    fflush(stdout);
}

static unsigned number(const char *text, unsigned max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || value == 0 || value > max) {
        fprintf(stderr, "%s: a number from 1 to %u is wanted\n", text, max);
        exit(2);
    }
    return (unsigned)value;
}

/* True: there are no more. */
static bool wait_for_line(void)
{
    int c;
    while ((c = getchar()) != '\n' && c != EOF)
        ;
    return c == EOF;
}

int main(int argc, char **argv)
{
    static struct bench bench = {
        .keys = DEFAULT_KEYS, .key_size = KEY_SIZE_MIN, .value_size = 512, .conn_count = 50, .pipeline = 16};
    struct clock clock;
    struct chunk_pool chunks;
    pthread_t thread;
    unsigned count = DEFAULT_COUNT, rounds = 1;
    bool waits = false;
    for (int option; (option = getopt(argc, argv, "k:n:d:c:P:b:r:i")) != -1;)
        switch (option) {
        case 'k': bench.keys = number(optarg, 100000000); break;
        case 'n':
            if ((bench.key_size = number(optarg, KEY_SIZE_MAX)) < KEY_SIZE_MIN)
                bench.key_size = KEY_SIZE_MIN;
            break;
        case 'd': bench.value_size = number(optarg, VALUE_MAX); break;
        case 'c': bench.conn_count = number(optarg, CONNS_MAX); break;
        case 'P': bench.pipeline = number(optarg, PIPELINE_MAX); break;
        case 'b': count = number(optarg, 10000000); break;
        case 'r': rounds = number(optarg, 1000000); break;
        case 'i': waits = true; break;
        default:
            fprintf(stderr, "usage: executor [-k keys] [-n key bytes] [-d value bytes] [-c connections] [-P "
                            "pipeline] [-b "
                            "batches] [-r rounds] [-i]\n");
            return 2;
        }
    begin(&bench, &clock, &chunks);
    pin_to(1);
    if (pthread_create(&thread, NULL, maker, &bench) != 0)
        fatal("no thread");
    while (bench.next_key < bench.keys) {
        execute(&bench);
        exec_cron(bench.exec);
        sem_post(&bench.executed);
    }
    uint64_t *batches = mem_alloc(count * sizeof *batches);
    for (unsigned round = 0; round < rounds && !(waits && wait_for_line()); round++) {
        for (unsigned i = 0; i < count; i++) {
            batches[i] = execute(&bench);
            sem_post(&bench.executed);
        }
        report(&bench, batches, count);
    }
    sem_wait(&bench.made);
    bench.ends = true;
    sem_post(&bench.executed);
    pthread_join(thread, NULL);
    return 0; /* the system takes the memory back faster than we can */
}
