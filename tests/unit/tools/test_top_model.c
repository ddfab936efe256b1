/* Rates between two readings: what they are, and when there are none. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "top/model.h"
#include "top_recorded.h"

#define SECOND_NS UINT64_C(1000000000)

/* A reading `seconds` after the machine's start. Of two fields with one name the first counts, so what stands in
 * `changes` wins over `text`. */
static void take(struct model *model, uint64_t seconds, const char *changes, const char *text)
{
    struct buf both = {0};
    buf_printf(&both, "%s%s", changes, text);
    struct sample *sample = sample_new(buf_slice(&both));
    sample->taken_ns = seconds * SECOND_NS;
    buf_done(&both);
    model_take(model, sample);
}

static void assert_near(double actual, double expected)
{
    if (!(fabs(actual - expected) < 1e-6))
        fail_msg("%f is not %f", actual, expected);
}

static void test_one_reading_has_no_rates(void **state)
{
    struct model model;
    model_init(&model);
    assert_true(isnan(model_requests_rate(&model)));
    take(&model, 1, "instantaneous_ops_per_sec:77\n", REDIS_INFO);
    assert_true(isnan(model_rate(&model, FIGURE_COMMANDS)));
    assert_true(isnan(model.now->commands[0].calls_rate));
    assert_true(isnan(model_hit_rate(&model)));
    assert_near(model_hit_rate_total(&model), 0.8);
    assert_near(model_requests_rate(&model), 77); /* the server's own measure */
    assert_near(model_history(&model, 0), 77);
    model_done(&model);
}

static void test_rates_between_two(void **state)
{
    struct model model;
    model_init(&model);
    take(&model, 10, "", SKUA_INFO);
    take(&model, 12,
         "server_time_usec:1795246785140155\ntotal_commands_processed:1155\nkeyspace_hits:70\nkeyspace_"
         "misses:20\n"
         "executor_busy_usec:1000422\nused_cpu_user:1.000000\nused_cpu_sys:1.017558\nuptime_in_seconds:2\n",
         SKUA_INFO);
    assert_near(model.seconds, 2);
    assert_near(model_rate(&model, FIGURE_COMMANDS), 500);
    assert_near(model_hit_rate(&model), 0.75);
    assert_near(model_rate(&model, FIGURE_EXECUTOR_BUSY), 500000);
    assert_near(model_cpu(&model), 1);
    assert_near(model_rate(&model, FIGURE_EXPIRED), 0);
    assert_true(isnan(model_rate(&model, FIGURE_LOOP_BUSY))); /* not reported: not 0 */
    assert_true(isnan(model_rate(&model, FIGURE_CLIENTS)));   /* no counter */
    assert_near(model_history(&model, 0), 500);
    model_done(&model);
}

static void test_commands(void **state)
{
    struct model model;
    model_init(&model);
    take(&model, 1, "",
         "cmdstat_get:calls=10,usec=100,rejected_calls=0,failed_calls=1\ncmdstat_idle:calls=1,usec=9\n");
    take(&model, 3, "",
         "cmdstat_get:calls=30,usec=400,rejected_calls=2,failed_calls=1\n"
         "cmdstat_idle:calls=1,usec=9\ncmdstat_set:calls=4,usec=100\n");
    const struct command_row *get = &model.now->commands[0], *idle = &model.now->commands[1],
                             *set = &model.now->commands[2];
    assert_near(get->calls_rate, 10);
    assert_near(get->share, 0.75);
    assert_near(get->usec_per_call, 15);
    assert_near(get->rejected_rate, 1);
    assert_near(get->failed_rate, 0);
    assert_near(idle->calls_rate, 0);
    assert_true(isnan(idle->usec_per_call));
    assert_true(isnan(idle->failed_rate)); /* not reported */
    assert_near(set->calls_rate, 2);       /* not called before */
    assert_near(set->share, 0.25);
    model_done(&model);
}

/* A reading of a command with these buckets: limits and calls in turn. */
static void take_latencies(struct model *model, uint64_t seconds, const char *info, const int64_t *pairs,
                           size_t count)
{
    struct skua_reply numbers[16], fields[4], both[2];
    for (size_t i = 0; i < count; i++)
        numbers[i] = (struct skua_reply){.type = SKUA_INTEGER, .integer = pairs[i]};
    fields[0] = (struct skua_reply){.type = SKUA_STRING, .string = "calls", .length = 5};
    fields[1] = (struct skua_reply){.type = SKUA_INTEGER, .integer = 0};
    fields[2] = (struct skua_reply){.type = SKUA_STRING, .string = "histogram_usec", .length = 14};
    fields[3] = (struct skua_reply){.type = SKUA_ARRAY, .elements = numbers, .element_count = count};
    both[0] = (struct skua_reply){.type = SKUA_STRING, .string = "get", .length = 3};
    both[1] = (struct skua_reply){.type = SKUA_ARRAY, .elements = fields, .element_count = 4};
    struct skua_reply reply = {.type = SKUA_ARRAY, .elements = both, .element_count = 2};
    struct sample *sample = sample_new(slice_from_string(info));
    sample->taken_ns = seconds * SECOND_NS;
    sample_set_latencies(sample, &reply);
    model_take(model, sample);
}

static void test_latencies_of_an_interval(void **state)
{
    static const int64_t first[] = {8, 1000, 16, 2000}, second[] = {8, 1000, 16, 2050, 1024, 2100},
                         odd[] = {8, 1000, 16};
    struct model model;
    model_init(&model);
    take(&model, 1, "", "cmdstat_get:calls=2000,usec=9\n");
    take_latencies(&model, 2, "cmdstat_get:calls=2000,usec=9\n", first, 4);
    assert_true(isnan(model.now->commands[0].p99_now)); /* nothing to compare with */
    /* 50 calls of 8 to 16 microseconds, 50 of 512 to 1,024: the 99th is the 49th of the latter */
    take_latencies(&model, 3, "cmdstat_get:calls=2100,usec=9\n", second, 6);
    assert_near(model.now->commands[0].p99_now, 512 + 512 * 49.0 / 50);
    take_latencies(&model, 4, "cmdstat_get:calls=2100,usec=9\n", second, 6);
    assert_true(isnan(model.now->commands[0].p99_now)); /* no calls */
    take_latencies(&model, 5, "cmdstat_get:calls=2101,usec=9\n", odd, 3);
    assert_true(isnan(model.now->commands[0].p99_now)); /* fewer than before */
    model_done(&model);
}

static void test_threads_databases_and_errors(void **state)
{
    struct model model;
    model_init(&model);
    take(&model, 1, "", "io_thread_1:requests=5,busy_usec=100\nerrorstat_ERR:count=1\ndb0:keys=10\n");
    take(&model, 2, "",
         "io_thread_1:requests=9,busy_usec=250100\nio_thread_2:busy_usec=1\nerrorstat_ERR:count=4\n"
         "errorstat_OOM:count=2\ndb0:keys=7\ndb2:keys=5\n");
    assert_near(model.now->threads[0].requests_rate, 4);
    assert_near(model.now->threads[0].busy_share, 0.25);
    assert_true(isnan(model.now->threads[1].busy_share)); /* was not there before */
    assert_near(model.now->errors[0].count_rate, 3);
    assert_near(model.now->errors[1].count_rate, 2);
    assert_near(model.now->dbs[0].keys_rate, -3);
    assert_near(model.now->dbs[1].keys_rate, 5);
    model_done(&model);
}

static void test_clients_by_id(void **state)
{
    static const char *const lists[] = {"id=1 tot-cmds=5\nid=2 tot-cmds=7\n",
                                        "id=2 tot-cmds=17\nid=3 tot-cmds=9\n"};
    struct model model;
    model_init(&model);
    for (unsigned i = 0; i < 2; i++) {
        struct sample *sample = sample_new(SLICE(SKUA_INFO));
        struct skua_reply reply = {.type = SKUA_STRING, .string = lists[i], .length = strlen(lists[i])};
        sample->taken_ns = (i + 1) * SECOND_NS;
        sample_set_clients(sample, &reply);
        model_take(&model, sample);
    }
    assert_near(model.now->clients[0].commands_rate, 10);
    assert_true(isnan(model.now->clients[1].commands_rate)); /* new */
    model_done(&model);
}

/* ---- When there are none ---------------------------------------------------------------------------------- */

static void test_resetstat_leaves_no_rates_but_processor_time(void **state)
{
    struct model model;
    model_init(&model);
    take(&model, 1, "keyspace_hits:5\ntotal_connections_received:100\n", REDIS_INFO);
    /* hits have already overtaken their old value: only the connections betray the reset */
    take(&model, 2,
         "keyspace_hits:9\ntotal_connections_received:1\nused_cpu_user:0.505837\nused_cpu_sys:0.009987\n",
         REDIS_INFO);
    assert_true(model.reset);
    assert_true(isnan(model_rate(&model, FIGURE_CONNECTIONS)));
    assert_true(isnan(model_rate(&model, FIGURE_HITS)));
    assert_true(isnan(model_requests_rate(&model)));
    assert_true(isnan(model.now->commands[0].calls_rate));
    assert_near(model_cpu(&model), 0.5);
    assert_true(isnan(model_history(&model, 0)));
    take(&model, 3, "keyspace_hits:12\ntotal_connections_received:2\nused_cpu_user:0.505837\n", REDIS_INFO);
    assert_false(model.reset);
    assert_near(model_rate(&model, FIGURE_HITS), 3);
    model_done(&model);
}

static void test_a_command_that_vanished_is_a_reset(void **state)
{
    struct model model;
    model_init(&model);
    take(&model, 1, "", "cmdstat_get:calls=1,usec=1\ncmdstat_set:calls=1,usec=1\n");
    take(&model, 2, "", "cmdstat_set:calls=1,usec=1\n");
    assert_true(model.reset);
    model_done(&model);
}

static void test_a_restart_leaves_no_rates_at_all(void **state)
{
    struct model model;
    model_init(&model);
    take(&model, 1, "run_id:aaaa\nuptime_in_seconds:50\n", REDIS_INFO);
    take(&model, 2, "run_id:bbbb\nuptime_in_seconds:60\nused_cpu_user:9\n", REDIS_INFO);
    assert_true(model.restarted);
    assert_false(model.reset);
    assert_true(isnan(model_cpu(&model)));
    assert_true(isnan(model_rate(&model, FIGURE_COMMANDS)));
    take(&model, 3, "run_id:bbbb\nuptime_in_seconds:3\nused_cpu_user:9\n", REDIS_INFO);
    assert_true(model.restarted);
    model_done(&model);
}

static void test_the_clock_of_the_server_was_set(void **state)
{
    struct model model;
    model_init(&model);
    take(&model, 1, "server_time_usec:5000000\n", REDIS_INFO);
    take(&model, 3, "server_time_usec:9000000000\ntotal_commands_processed:255\n", REDIS_INFO);
    assert_near(model.seconds, 2);
    assert_near(model_rate(&model, FIGURE_COMMANDS), 50);
    take(&model, 4, "server_time_usec:1\ntotal_commands_processed:256\n", REDIS_INFO);
    assert_near(model.seconds, 1);
    model_done(&model);
}

static void test_history_is_a_ring(void **state)
{
    struct model model;
    model_init(&model);
    for (unsigned i = 0; i < MODEL_HISTORY_MAX + 3; i++) {
        struct buf change = {0};
        buf_printf(&change, "total_commands_processed:%u\n", 200 + i * (i + 1) / 2);
        take(&model, i + 1, buf_string(&change), "");
        buf_done(&change);
    }
    assert_near(model_history(&model, 0), MODEL_HISTORY_MAX + 2);
    assert_near(model_history(&model, MODEL_HISTORY_MAX - 1), 3);
    assert_true(isnan(model_history(&model, MODEL_HISTORY_MAX)));
    model_done(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_reading_has_no_rates),
        cmocka_unit_test(test_rates_between_two),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_latencies_of_an_interval),
        cmocka_unit_test(test_threads_databases_and_errors),
        cmocka_unit_test(test_clients_by_id),
        cmocka_unit_test(test_resetstat_leaves_no_rates_but_processor_time),
        cmocka_unit_test(test_a_command_that_vanished_is_a_reset),
        cmocka_unit_test(test_a_restart_leaves_no_rates_at_all),
        cmocka_unit_test(test_the_clock_of_the_server_was_set),
        cmocka_unit_test(test_history_is_a_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
