/* Files on a disk that belongs to the test: a server with an append-only file, or with snapshots, is killed at any operation on a
 * file, and its machine may lose its power: what is not synced is gone from some point on, and names that were not synced either.
 *
 * Proves: what has been loaded is a state that the server has been in, between two of its units, not before the last write that was
 * acknowledged under `always`, nor, when only the process was killed, before the last one that was in the file; while the disk refuses
 * writes nothing is acknowledged that is not there later; rewriting changes none of that. A snapshot that SAVE has answered for is there
 * until the next one is.
 *
 * SKUA_SEED=n runs this seed alone; SKUA_SEEDS=n so many, from 1 on. A failure names its seed. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/worker.h"
#include "config/config.h"
#include "disk.h"
#include "exec/exec.h"
#include "network.h"
#include "persist/persist.h"
#include "server/server.h"
#include "state.h"
#include "workload.h"

#ifdef SKUA_DEBUG
#define SEEDS_DEFAULT 8
#else
#define SEEDS_DEFAULT 40
#endif
#define CYCLES     12
#define STEPS_MAX  500
#define STEP_US    4000
#define LOAD_STEPS 20000

/* A state that the server has been in. */
struct moment {
    uint64_t digest;
    uint64_t number; /* of the last write of the careful client */
};

struct counts {
    uint64_t crashes, in_the_middle, power_losses, writes, refusals, behind;
};

struct life {
    struct sim sim;
    struct sim_disk disk;
    struct server *server;
    struct worker_pool *workers;
    bool has_log, is_always;           /* without a log there are snapshots */
    bool is_saving;                    /* what was asked for is SAVE */
    uint64_t answered;                 /* the last number, before the save */
    struct sim_peer careful, reckless; /* one asks at a time: so a turn has one unit at most */
    bool is_asked;                     /* the careful one waits for its answer */
    uint64_t number, acknowledged;
    struct buf received;
    struct moment *moments; /* since the first start: what was loaded may be lost before it is synced */
    size_t moment_count, moment_capacity;
    struct workload workload;
    struct counts *counts;
};

/* ---- The server ----------------------------------------------------------------------------------- */

static struct config *make_config(struct life *life)
{
    struct config *config = config_new();
    struct buf text = {0}, error = {0};
    buf_printf(&text,
               "databases %u\nsave \"\"\nappendonly %s\nappendfsync %s\nauto-aof-rewrite-min-size 3kb\n"
               "auto-aof-rewrite-percentage 50\naof-timestamp-enabled %s\nrdbcompression no\n",
               WORKLOAD_DBS + 1, life->has_log ? "yes" : "no", life->is_always ? "always" : "everysec",
               rng_below(&life->sim.rng, 2) ? "yes" : "no");
    assert_int_equal(config_load_text(config, buf_slice(&text), "simulation", &error), ST_OK);
    buf_done(&text);
    buf_done(&error);
    return config;
}

/* False: the disk has failed meanwhile, as planned, and there is none. */
static bool start(struct life *life)
{
    struct buf error = {0};
    life->workers = worker_pool_new_stepped();
    struct server_options options = {.config = make_config(life),
                                     .clock = &life->sim.clock,
                                     .simulated = true,
                                     .seed = rng_next(&life->sim.rng),
                                     .workers = life->workers,
                                     .files = &life->disk.system,
                                     .log = sim_open_log()};
    enum status status = server_new(&options, &life->server, &error);
    if (status != ST_OK)
        fail_msg("it does not start: %s", buf_string(&error));
    buf_done(&error);
    server_exec(life->server)->active_expire = false; /* several units in one turn */
    return status == ST_OK;
}

static void kill_server(struct life *life)
{
    sim_disk_freeze(&life->disk);
    if (life->careful.link)
        peer_cut(&life->careful);
    if (life->reckless.link)
        peer_cut(&life->reckless);
    server_free(life->server);
    life->server = NULL;
    buf_clear(&life->received);
    life->is_asked = false;
    sim_disk_thaw(&life->disk);
}

static void turn(struct life *life)
{
    sim_step(&life->sim, STEP_US);
    for (uint64_t jobs = rng_below(&life->sim.rng, 3); jobs > 0 && worker_pool_step(life->workers); jobs--)
        ;
    if (!life->disk.frozen)
        assert_true(server_turn(life->server, 0));
}

/* ---- What it holds -------------------------------------------------------------------------------- */

static uint64_t stored_number(const struct life *life)
{
    const struct exec *exec = server_exec(life->server);
    struct table_position position;
    entry_scratch scratch;
    uint64_t number = 0;
    struct slice key = slice_from_string("w");
    const struct entry *entry =
        db_locate(&exec->keyspace->dbs[WORKLOAD_DBS], key, keyspace_hash(exec->keyspace, key), &position);
    if (entry)
        assert_true(num_parse_u64(entry_string(entry, scratch), &number));
    return number;
}

/* SKUA_SIM_NUMBER=n: what is held while n is the last write, as it comes and when it is loaded. */
static void show(const struct life *life, const char *when, uint64_t number)
{
    const char *wanted = getenv("SKUA_SIM_NUMBER");
    struct buf text = {0};
    if (wanted == NULL || strtoull(wanted, NULL, 10) != number)
        return;
    state_describe(server_exec(life->server)->keyspace, &text);
    printf("%s:\n%s", when, buf_string(&text));
    fflush(stdout);
    buf_done(&text);
}

static void note_moment(struct life *life)
{
    struct moment moment = {state_digest(server_exec(life->server)->keyspace), stored_number(life)};
    size_t count = life->moment_count;
    if (count > 0 && life->moments[count - 1].digest == moment.digest &&
        life->moments[count - 1].number == moment.number)
        return;
    if (count == life->moment_capacity) {
        life->moment_capacity = count ? 2 * count : 64;
        life->moments = mem_realloc(life->moments, life->moment_capacity * sizeof *life->moments);
    }
    life->moments[life->moment_count++] = moment;
    show(life, "moment", moment.number);
}

/* What has been loaded is one of the moments, and a late enough one. */
static void check_loaded(struct life *life, uint64_t seed)
{
    uint64_t digest = state_digest(server_exec(life->server)->keyspace), number = stored_number(life);
    size_t at = life->moment_count;
    show(life, "loaded", number);
    while (at > 0 && (life->moments[at - 1].digest != digest || life->moments[at - 1].number != number))
        at--;
    if (at == 0 && number + life->moment_count > 0)
        fail_msg("seed %" PRIu64 ": it has loaded a state that it has never been in (number %" PRIu64 ")",
                 seed, number);
    if (number > life->number)
        fail_msg("seed %" PRIu64 ": %" PRIu64 " was never asked for", seed, number);
    if ((life->is_always || !life->has_log) && number < life->acknowledged)
        fail_msg("seed %" PRIu64 ": %" PRIu64 " was acknowledged, %" PRIu64 " is there", seed,
                 life->acknowledged, number);
    life->counts->behind += at < life->moment_count;
    life->answered = number;
    note_moment(life);
}

/* ---- Clients -------------------------------------------------------------------------------------- */

static void ask_carefully(struct life *life)
{
    struct buf request = {0};
    life->is_saving = !life->has_log && rng_below(&life->sim.rng, 6) == 0;
    if (life->is_saving)
        workload_request(&request, "SAVE");
    else
        workload_request(&request, "SET w %" PRIu64, ++life->number);
    peer_send(&life->careful, request.data, request.size);
    buf_done(&request);
    life->is_asked = true;
    life->counts->writes++;
}

static void ask_recklessly(struct life *life)
{
    struct rng *rng = &life->sim.rng;
    struct buf requests = {0};
    if (rng_below(rng, 60) == 0)
        workload_request(&requests, life->has_log ? "BGREWRITEAOF" : "BGSAVE");
    else
        workload_append(&requests, rng, &life->workload);
    peer_send(&life->reckless, requests.data, requests.size);
    buf_done(&requests);
}

static void hear(struct life *life)
{
    struct buf ignored = {0};
    peer_receive(&life->reckless, &ignored);
    buf_done(&ignored);
    peer_receive(&life->careful, &life->received);
    if (life->received.size == 0 || life->received.data[life->received.size - 1] != '\n')
        return;
    bool is_good = life->received.data[0] == '+';
    if (is_good && (life->has_log || life->is_saving))
        life->acknowledged = life->has_log ? life->number : life->answered;
    if (is_good && !life->is_saving)
        life->answered = life->number;
    life->counts->refusals += !is_good;
    life->is_asked = false;
    buf_clear(&life->received);
}

static void connect(struct life *life, struct sim_peer *peer)
{
    if (peer->link)
        peer_cut(peer);
    sim_connect(&life->sim, life->server, peer);
    if (peer != &life->careful)
        return;
    life->is_asked = false;
    static const char select[] = "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n";
    _Static_assert(WORKLOAD_DBS == 3, "as it says");
    peer_send(peer, select, sizeof select - 1);
    struct buf answer = {0};
    for (unsigned i = 0; i < LOAD_STEPS && answer.size < 5 && !life->disk.frozen && !peer_is_closed(peer);
         i++) {
        turn(life);
        peer_receive(peer, &answer);
    }
    buf_done(&answer);
}

/* One at a time. A blocked client's requests wait in the server, but then nobody else does what could wake it. */
static void ask(struct life *life)
{
    if (peer_is_closed(&life->careful))
        connect(life, &life->careful); /* what it asked for could not be promised */
    if (peer_is_closed(&life->reckless))
        connect(life, &life->reckless);
    if (life->disk.frozen || peer_unsent(&life->careful) > 0 || peer_unsent(&life->reckless) > 0)
        return;
    if (rng_below(&life->sim.rng, 2))
        ask_recklessly(life);
    else if (!life->is_asked)
        ask_carefully(life);
}

/* ---- Lives ---------------------------------------------------------------------------------------- */

static void load(struct life *life, uint64_t seed)
{
    const struct exec *exec = server_exec(life->server);
    unsigned steps = 0;
    while (!life->disk.frozen && persist_is_loading(exec->persist)) {
        turn(life);
        assert_true(++steps < LOAD_STEPS);
    }
    if (!life->disk.frozen)
        check_loaded(life, seed);
}

/* The disk refuses for a while. */
static void trouble_disk(struct life *life)
{
    static const int errors[] = {0, 0, 0, ENOSPC, EIO};
    struct rng *rng = &life->sim.rng;
    if (rng_below(rng, 80) == 0)
        life->disk.write_error = errors[rng_below(rng, ARRAY_COUNT(errors))];
    if (rng_below(rng, 200) == 0)
        life->disk.sync_error = rng_below(rng, 3) ? 0 : EIO;
}

static void live(struct life *life, uint64_t seed)
{
    struct rng *rng = &life->sim.rng;
    bool has_trouble = rng_below(rng, 4) == 0;
    life->disk.operations_left = rng_below(rng, 4) ? 1 + rng_below(rng, 120) : 0;
    if (start(life))
        load(life, seed);
    if (!life->disk.frozen) {
        connect(life, &life->careful);
        connect(life, &life->reckless);
    }
    for (uint64_t steps = rng_below(rng, STEPS_MAX); steps > 0 && !life->disk.frozen; steps--) {
        ask(life);
        if (life->disk.frozen)
            break;
        if (has_trouble)
            trouble_disk(life);
        turn(life);
        note_moment(life);
        if (!life->disk.frozen)
            hear(life);
    }
    life->counts->in_the_middle += life->disk.frozen;
    kill_server(life);
    life->disk.write_error = life->disk.sync_error = 0;
    life->disk.operations_left = 0;
    if (rng_below(rng, 2)) {
        sim_disk_lose_power(&life->disk, rng);
        life->counts->power_losses++;
    }
    life->counts->crashes++;
}

static void run_seed(uint64_t seed, struct counts *counts)
{
    struct life life = {.counts = counts, .workload = {.never_blocks = true, .value_max = 2000}};
    sim_init(&life.sim, seed);
    sim_disk_init(&life.disk);
    life.disk.rng = &life.sim.rng;
    life.sim.look_ns = 400;
    life.has_log = rng_below(&life.sim.rng, 4) > 0;
    life.is_always = life.has_log && rng_below(&life.sim.rng, 3) > 0;
    life.workload.never_expires = !life.has_log; /* a snapshot's keys that have expired are not loaded */
    for (unsigned i = 0; i < CYCLES; i++)
        live(&life, seed);
    if (start(&life))
        load(&life, seed);
    kill_server(&life);
    mem_free(life.moments);
    buf_done(&life.received);
    sim_disk_done(&life.disk);
}

static void what_is_loaded_has_been_there(void **state)
{
    const char *seed = getenv("SKUA_SEED"), *text = getenv("SKUA_SEEDS");
    uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
    uint64_t seeds = seed ? 1 : text ? strtoull(text, NULL, 10) : SEEDS_DEFAULT;
    struct counts counts = {0};
    for (uint64_t i = 0; i < seeds; i++)
        run_seed(first + i, &counts);
    printf("%" PRIu64 " crashes, %" PRIu64 " of them in the middle of an operation on a file, %" PRIu64
           " losses of power, %" PRIu64 " writes, %" PRIu64 " refused, %" PRIu64
           " times something was lost\n",
           counts.crashes, counts.in_the_middle, counts.power_losses, counts.writes, counts.refusals,
           counts.behind);
    assert_true(seed || (counts.in_the_middle > seeds && counts.behind > 0 && counts.writes > 100 * seeds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_loaded_has_been_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
