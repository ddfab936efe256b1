/* Proves: INFO chooses and orders sections as clients know it, each field has a value, and what is sampled or reset
 * comes out as it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "config/config.h"
#include "exec/error_stats.h"
#include "exec/exec.h"
#include "observe/metrics.h"
#include "persist/persist.h"
#include "repl/repl.h"

/* A server without I/O whose clock stands still until the test moves it. */
struct fixture {
    struct clock clock;
    uint64_t now_ns;
    struct config *config;
    struct chunk_pool chunks;
    struct exec *exec;
    struct metrics *metrics;
};

static int64_t wall_us(void *context)
{
    const struct fixture *fixture = context;
    return 1700000000000000 + (int64_t)(fixture->now_ns / 1000);
}

static uint64_t monotonic_ns(void *context)
{
    const struct fixture *fixture = context;
    return fixture->now_ns;
}

static int setup(void **state)
{
    struct fixture *fixture = mem_calloc(1, sizeof *fixture);
    fixture->now_ns = 1000000000;
    fixture->clock = (struct clock){.wall_us = wall_us,
                                    .monotonic_ns = monotonic_ns,
                                    .context = fixture,
                                    .tick_multiplier = UINT64_C(1) << 32};
    fixture->config = config_new();
    chunk_pool_init(&fixture->chunks, 4);
    fixture->exec = exec_new(&(struct exec_options){
        .clock = &fixture->clock, .config = fixture->config, .chunks = &fixture->chunks});
    persist_new(fixture->exec);
    repl_new(fixture->exec, NULL);
    fixture->metrics = metrics_new(fixture->exec, NULL);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    metrics_free(fixture->metrics);
    repl_free(fixture->exec->repl);
    persist_free(fixture->exec->persist);
    exec_free(fixture->exec);
    chunk_pool_done(&fixture->chunks);
    config_free(fixture->config);
    mem_free(fixture);
    return 0;
}

/* The answer to INFO with the words of `arguments`. */
static struct buf info(struct fixture *fixture, const char *arguments)
{
    struct slice words[16];
    uint32_t count = 0;
    for (const char *at = arguments; *at != '\0';) {
        size_t size = strcspn(at, " ");
        words[count++] = slice_make(at, size);
        at += size + (at[size] == ' ');
    }
    struct buf text = {0};
    metrics_info(fixture->metrics, words, count, &text);
    buf_string(&text);
    return text;
}

/* Compares the headings of an answer, each followed by a blank. */
static void check_sections(struct fixture *fixture, const char *arguments, const char *expected)
{
    struct buf text = info(fixture, arguments);
    struct buf titles = {0};
    for (const char *line = text.size > 0 ? text.data : ""; *line != '\0';) {
        size_t size = strcspn(line, "\r");
        assert_memory_equal(line + size, "\r\n", 2);
        if (line[0] == '#')
            buf_printf(&titles, "%.*s ", (int)size - 2, line + 2);
        line += size + 2;
    }
    assert_string_equal(buf_string(&titles), expected);
    buf_done(&titles);
    buf_done(&text);
}

/* The value of a field; NULL: it is not there. In `storage`. */
static const char *field(struct fixture *fixture, const char *section, const char *name,
                         char storage[static 256])
{
    struct buf text = info(fixture, section);
    char start[128];
    snprintf(start, sizeof start, "\n%s:", name);
    const char *at = strstr(buf_string(&text), start);
    if (at != NULL)
        snprintf(storage, 256, "%.*s", (int)strcspn(at + strlen(start), "\r"), at + strlen(start));
    buf_done(&text);
    return at != NULL ? storage : NULL;
}

static void check_field(struct fixture *fixture, const char *section, const char *name, const char *expected)
{
    char storage[256];
    const char *value = field(fixture, section, name, storage);
    assert_non_null(value);
    assert_string_equal(value, expected);
}

/* ---- Sections ------------------------------------------------------------------------------------- */

#define USUAL                                                                                                \
    "Server Clients Memory Persistence Stats Replication CPU Threads Shm Modules Errorstats Cluster "        \
    "Keyspace Direct "
#define ALL                                                                                                  \
    "Server Clients Memory Persistence Stats Replication CPU Threads Shm Modules Commandstats Errorstats "   \
    "Latencystats Cluster Keyspace Blame Direct "

static void test_sections(void **state)
{
    check_sections(*state, "", USUAL);
    check_sections(*state, "default", USUAL);
    check_sections(*state, "all", ALL);
    check_sections(*state, "Everything", ALL);
    check_sections(*state, "cpu SERVER cpu nothing", "Server CPU ");
    check_sections(*state, "latencystats modules", "Modules Latencystats ");
    check_sections(*state, "nothing", "");
}

static void test_every_field_has_a_value(void **state)
{
    struct buf text = info(*state, "all");
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric *metric = &metrics_table[i];
        bool may_be_empty = strcmp(metric->name, "config_file") == 0 ||
                            strcmp(metric->name, "executor_pause_max_by") == 0 || metric->type == METRIC_ROWS;
        char start[128];
        snprintf(start, sizeof start, "\n%s:", metric->name);
        const char *at = strstr(buf_string(&text), start);
        if (metric->type != METRIC_ROWS)
            assert_non_null(at);
        if (!may_be_empty)
            assert_int_not_equal(at[strlen(start)], '\r');
    }
    buf_done(&text);
}

static void test_time(void **state)
{
    struct fixture *fixture = *state;
    fixture->now_ns += UINT64_C(90000) * 1000000000;
    check_field(fixture, "server", "uptime_in_seconds", "90000");
    check_field(fixture, "server", "uptime_in_days", "1");
    check_field(fixture, "server", "server_time_usec", "1700090001000000");
}

static void test_ids_are_ids(void **state)
{
    char run_id[256], replication_id[256];
    assert_non_null(field(*state, "server", "run_id", run_id));
    assert_non_null(field(*state, "replication", "master_replid", replication_id));
    assert_int_equal(strlen(run_id), 40);
    assert_int_equal(strspn(run_id, "0123456789abcdef"), 40);
    assert_int_equal(strspn(replication_id, "0123456789abcdef"), 40);
    assert_string_not_equal(run_id, replication_id);
}

/* ---- Counting ------------------------------------------------------------------------------------- */

static struct command_stats *stats_of(struct fixture *fixture, const char *full_name)
{
    for (uint32_t i = 0; i < command_count; i++) {
        if (strcmp(command_by_id[i]->full_name, full_name) == 0)
            return &fixture->exec->command_stats[i];
    }
    fail_msg("no command %s", full_name);
    return NULL;
}

static void test_command_rows(void **state)
{
    struct fixture *fixture = *state;
    *stats_of(fixture, "config|get") =
        (struct command_stats){.calls = 4, .ns = 10000, .rejected = 1, .failed = 2};
    stats_of(fixture, "get")->rejected = 3;
    check_field(fixture, "commandstats", "cmdstat_config|get",
                "calls=4,usec=10,usec_per_call=2.50,rejected_calls=1,failed_calls=2");
    check_field(fixture, "commandstats", "cmdstat_get",
                "calls=0,usec=0,usec_per_call=0.00,rejected_calls=3,failed_calls=0");
    char storage[256];
    assert_null(field(fixture, "commandstats", "cmdstat_set", storage));
}

static void test_percentiles(void **state)
{
    struct fixture *fixture = *state;
    struct command_stats *stats = stats_of(fixture, "get");
    stats->calls = 100;
    stats->times = mem_calloc(1, sizeof *stats->times);
    durations_note(&stats->times->execute, 1100, 90);    /* 1023 .. 1278 nanoseconds */
    durations_note(&stats->times->execute, 1100000, 10); /* 1048575 .. 1310718 nanoseconds */
    check_field(fixture, "latencystats", "latency_percentiles_usec_get",
                "p50=1.165,p99=1100.000,p99.9=1100.000");
    struct slice pair[] = {SLICE("latency-tracking-info-percentiles"), SLICE("0 90 100")};
    struct buf error = {0};
    assert_int_equal(config_set(fixture->config, pair, 1, false, &error), ST_OK);
    check_field(fixture, "latencystats", "latency_percentiles_usec_get", "p0=1.023,p90=1.279,p100=1100.000");
    fixture->config->latency_tracking = false;
    char storage[256];
    assert_null(field(fixture, "latencystats", "latency_percentiles_usec_get", storage));
    buf_done(&error);
}

static void test_error_rows(void **state)
{
    struct fixture *fixture = *state;
    error_stats_count(fixture->exec, "ERR", 3);
    error_stats_count(fixture->exec, "WRONGTYPE", 1);
    check_field(fixture, "errorstats", "errorstat_ERR", "count=3");
    check_field(fixture, "errorstats", "errorstat_WRONGTYPE", "count=1");
}

static void test_rates(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < METRICS_RATE_SAMPLES; i++) {
        fixture->now_ns += 100000000;
        fixture->exec->stats.commands += 50;
        metrics_sample(fixture->metrics);
    }
    check_field(fixture, "stats", "instantaneous_ops_per_sec", "500");
    for (int i = 0; i < METRICS_RATE_SAMPLES / 2; i++) {
        fixture->now_ns += 100000000;
        metrics_sample(fixture->metrics);
    }
    check_field(fixture, "stats", "instantaneous_ops_per_sec", "250");
}

static void test_reset(void **state)
{
    struct fixture *fixture = *state;
    fixture->exec->stats.commands = 7;
    fixture->exec->stats.keyspace_hits = 8;
    fixture->exec->stats.dirty = 9;
    stats_of(fixture, "get")->calls = 1;
    error_stats_count(fixture->exec, "ERR", 3);
    check_field(fixture, "stats", "keyspace_hits", "8");
    metrics_reset(fixture->metrics);
    check_field(fixture, "stats", "total_commands_processed", "0");
    check_field(fixture, "stats", "keyspace_hits", "0");
    check_field(fixture, "stats", "total_error_replies", "0");
    check_field(fixture, "persistence", "rdb_changes_since_last_save", "9");
    char storage[256];
    assert_null(field(fixture, "commandstats", "cmdstat_get", storage));
    assert_null(field(fixture, "errorstats", "errorstat_ERR", storage));
}

/* ---- Keyspace ------------------------------------------------------------------------------------- */

static void insert(struct fixture *fixture, uint32_t number, const char *name, int64_t expire_ms)
{
    struct keyspace *keyspace = fixture->exec->keyspace;
    struct slice key = slice_from_string(name);
    struct entry_options options = {.expire_ms = expire_ms};
    struct entry *entry = entry_new_string(keyspace->heap, key, SLICE("value"), &options);
    assert_non_null(entry);
    assert_int_equal(db_insert(&keyspace->dbs[number], entry, keyspace_hash(keyspace, key)), ST_OK);
}

static void test_keyspace_rows(void **state)
{
    struct fixture *fixture = *state;
    char storage[256];
    assert_null(field(fixture, "keyspace", "db0", storage));
    int64_t now_ms = wall_us(fixture) / 1000;
    keyspace_set_time(fixture->exec->keyspace, now_ms);
    insert(fixture, 0, "a", ENTRY_NO_EXPIRE);
    insert(fixture, 3, "b", now_ms + 5000);
    check_field(fixture, "keyspace", "db0", "keys=1,expires=0,avg_ttl=0,keys_with_volatile_items=0");
    check_field(fixture, "keyspace", "db3", "keys=1,expires=1,avg_ttl=0,keys_with_volatile_items=0");
    metrics_sample(fixture->metrics);
    check_field(fixture, "keyspace", "db3", "keys=1,expires=1,avg_ttl=5000,keys_with_volatile_items=0");
}

static void test_sizes_for_people(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {{0, "0B"},
                {1023, "1023B"},
                {1024, "1.00K"},
                {1536, "1.50K"},
                {UINT64_C(3) << 30, "3.00G"},
                {UINT64_MAX, "16384.00P"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf text = {0};
        metric_write_human(&text, rows[i].bytes);
        assert_string_equal(buf_string(&text), rows[i].text);
        buf_done(&text);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sections),
        TEST(test_every_field_has_a_value),
        TEST(test_time),
        TEST(test_ids_are_ids),
        TEST(test_command_rows),
        TEST(test_percentiles),
        TEST(test_error_rows),
        TEST(test_rates),
        TEST(test_reset),
        TEST(test_keyspace_rows),
        cmocka_unit_test(test_sizes_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
