/* skua-top's reading of INFO, SLOWLOG GET and CLIENT LIST: three servers, and texts that no server should send. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "top/info.h"
#include "top/sample.h"
#include "top_recorded.h"

static struct sample *read_text(const char *text)
{
    return sample_new(slice_from_string(text));
}

static void assert_slice(struct slice actual, const char *expected)
{
    assert_int_equal(actual.size, strlen(expected));
    assert_memory_equal(actual.data, expected, actual.size);
}

static const struct command_row *command_of(const struct sample *sample, const char *name)
{
    for (size_t i = 0; i < sample->command_count; i++) {
        if (slice_equal(sample->commands[i].name, slice_from_string(name)))
            return &sample->commands[i];
    }
    return NULL;
}

/* ---- INFO ------------------------------------------------------------------------------------------------- */

static void test_fields_are_found_by_name(void **state)
{
    struct info info;
    struct slice value;
    info_parse(&info, SLICE("# Server\r\na:1\r\n\r\nb:x:y\nno field\n:\nlast:"));
    assert_int_equal(info.count, 4);
    assert_true(info_find(&info, "a", &value));
    assert_slice(value, "1");
    assert_true(info_find(&info, "b", &value));
    assert_slice(value, "x:y");
    assert_true(info_find(&info, "last", &value));
    assert_slice(value, "");
    assert_false(info_find(&info, "c", &value));
    info_done(&info);
}

static void test_parts_of_a_value(void **state)
{
    struct slice value = SLICE("keys=5,expires=x,,avg_ttl=7");
    assert_true(info_part(value, "keys") == 5);
    assert_true(isnan(info_part(value, "expires")));
    assert_true(info_part(value, "avg_ttl") == 7);
    assert_true(isnan(info_part(value, "key")));
    assert_true(isnan(info_part(SLICE(""), "keys")));
    assert_true(isnan(info_number(SLICE("inf"))));
    assert_true(isnan(info_number(SLICE("1e999"))));
}

static void test_a_skua(void **state)
{
    struct sample *sample = read_text(SKUA_INFO);
    struct buf name = {0};
    sample_server_name(sample, &name);
    assert_string_equal(buf_string(&name), "Skua 0.1.0");
    assert_slice(sample->text[TEXT_ROLE], "master");
    assert_true(sample->value[FIGURE_COMMANDS] == 155);
    assert_true(sample->value[FIGURE_EXECUTOR_BUSY] == 422);
    assert_slice(sample->text[TEXT_PAUSE_BY], "set");
    assert_int_equal(sample->thread_count, 2);
    assert_int_equal(sample->threads[1].number, 2);
    assert_true(sample->threads[1].requests == 157);
    assert_true(sample->threads[1].busy_us == 6125);
    assert_int_equal(sample->db_count, 2);
    assert_int_equal(sample->dbs[1].number, 3);
    assert_true(sample->dbs[0].expires == 1);
    assert_int_equal(sample->error_count, 1);
    assert_slice(sample->errors[0].code, "ERR");
    buf_done(&name);
    sample_free(sample);
}

static void test_a_redis_has_no_figures_of_others(void **state)
{
    struct sample *sample = read_text(REDIS_INFO);
    assert_slice(sample->text[TEXT_REDIS_VERSION], "7.0.15");
    assert_true(isnan(sample->value[FIGURE_EXECUTOR_BUSY]));
    assert_true(isnan(sample->value[FIGURE_CLIENTS_PUBSUB]));
    assert_true(isnan(sample->value[FIGURE_MAIN_ACTIVE]));
    assert_int_equal(sample->thread_count, 0);
    const struct command_row *set = command_of(sample, "set");
    assert_non_null(set);
    assert_true(set->calls == 102 && set->usec == 135);
    assert_slice(sample->percentile_name[0], "p50");
    assert_slice(sample->percentile_name[2], "p99.9");
    assert_true(set->percentile[1] == 14.015);
    assert_true(isnan(set->calls_rate));
    sample_free(sample);
}

static void test_a_valkey(void **state)
{
    struct sample *sample = read_text(VALKEY_INFO);
    struct buf name = {0};
    sample_server_name(sample, &name);
    assert_string_equal(buf_string(&name), "Valkey 9.0.0");
    assert_slice(sample->text[TEXT_SERVER_MODE], "standalone");
    assert_true(sample->value[FIGURE_LOOP_COMMANDS] == 4662723);
    assert_int_equal(sample->thread_count, 2);
    assert_true(sample->threads[0].busy_us == 20250000);
    assert_true(isnan(sample->threads[0].requests));
    assert_int_equal(sample->percentile_name[0].size, 0);
    assert_int_equal(sample->db_count, 0);
    buf_done(&name);
    sample_free(sample);
}

static void test_texts_that_are_no_info(void **state)
{
    static const char *const texts[] = {
        "",
        "\n\r\n:::\n",
        "cmdstat_:calls=1\ncmdstat_x:\ncmdstat_y:calls=,usec=-\nlatency_percentiles_usec_z:p50=1\n",
        "db:keys=1\ndbx:keys=2\ndb-1:keys=3\ndb99999999999999999999:keys=4\nio_thread_x:busy_usec=1\n",
        "used_active_time_io_thread_1:nan\nio_thread_1:\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct sample *sample = read_text(texts[i]);
        assert_int_equal(sample->db_count, 0);
        assert_true(sample->command_count <= 2);
        for (unsigned j = 0; j < FIGURE_COUNT; j++)
            assert_true(isnan(sample->value[j]));
        sample_free(sample);
    }
}

static void test_there_is_a_limit_to_rows(void **state)
{
    struct buf text = {0};
    for (unsigned i = 0; i < SAMPLE_COMMANDS_MAX + 100; i++)
        buf_printf(&text, "cmdstat_c%u:calls=1\nerrorstat_E%u:count=1\nio_thread_%u:busy_usec=1\n", i, i,
                   i % 2000);
    struct sample *sample = sample_new(buf_slice(&text));
    assert_int_equal(sample->command_count, SAMPLE_COMMANDS_MAX);
    assert_int_equal(sample->error_count, SAMPLE_ERRORS_MAX);
    assert_int_equal(sample->thread_count, SAMPLE_THREADS_MAX);
    sample_free(sample);
    buf_done(&text);
}

/* ---- SLOWLOG GET ------------------------------------------------------------------------------------------ */

static struct skua_reply string_reply(const char *text)
{
    return (struct skua_reply){.type = SKUA_STRING, .string = text, .length = strlen(text)};
}

static struct skua_reply integer_reply(int64_t value)
{
    return (struct skua_reply){.type = SKUA_INTEGER, .integer = value};
}

static struct skua_reply array_reply(struct skua_reply *elements, size_t count)
{
    return (struct skua_reply){.type = SKUA_ARRAY, .elements = elements, .element_count = count};
}

static void test_the_slow_log(void **state)
{
    struct skua_reply words[] = {string_reply("SET"), string_reply("two words"), string_reply("\x1b[2J")};
    struct skua_reply fields[] = {integer_reply(7),      integer_reply(1700000000),  integer_reply(12345),
                                  array_reply(words, 3), string_reply("1.2.3.4:50"), string_reply("worker")};
    struct skua_reply old_fields[] = {integer_reply(6), integer_reply(1600000000), integer_reply(1),
                                      array_reply(words, 1)};
    struct skua_reply wrong[] = {string_reply("x")};
    struct skua_reply entries[] = {array_reply(fields, 6), array_reply(wrong, 1), integer_reply(3),
                                   array_reply(old_fields, 4)};
    struct skua_reply reply = array_reply(entries, 4);
    struct sample *sample = read_text(REDIS_INFO);
    sample_set_slow_log(sample, &reply);
    assert_true(sample->has_slow_log);
    assert_int_equal(sample->slow_count, 2);
    assert_int_equal(sample->slow[0].duration_us, 12345);
    assert_slice(sample->slow[0].command, "SET \"two words\" \x1b[2J"); /* made harmless where it is shown */
    assert_slice(sample->slow[0].address, "1.2.3.4:50");
    assert_slice(sample->slow[0].name, "worker");
    assert_slice(sample->slow[1].command, "SET");
    assert_slice(sample->slow[1].address, "");
    sample_free(sample);
}

static void test_long_arguments_of_the_slow_log_are_cut(void **state)
{
    static char long_word[100000];
    memset(long_word, 'x', sizeof long_word - 1);
    struct skua_reply words[200];
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        words[i] = string_reply(long_word);
    struct skua_reply fields[] = {integer_reply(7), integer_reply(0), integer_reply(1),
                                  array_reply(words, 200), string_reply(long_word)};
    struct skua_reply entry = array_reply(fields, 5);
    struct skua_reply reply = array_reply(&entry, 1);
    struct sample *sample = read_text(REDIS_INFO);
    sample_set_slow_log(sample, &reply);
    assert_true(sample->slow[0].command.size <= SLOW_TEXT_MAX + 4);
    assert_int_equal(sample->slow[0].address.size, SLOW_TEXT_MAX);
    sample_free(sample);
}

static void test_a_refusal_is_kept_as_text(void **state)
{
    struct skua_reply refusal = string_reply("NOPERM this user has no permissions");
    refusal.type = SKUA_ERROR;
    struct sample *sample = read_text(REDIS_INFO);
    sample_set_slow_log(sample, &refusal);
    sample_set_clients(sample, &refusal);
    assert_false(sample->has_slow_log);
    assert_false(sample->has_clients);
    assert_string_equal(sample->slow_error, "NOPERM this user has no permissions");
    assert_string_equal(sample->client_error, "NOPERM this user has no permissions");
    sample_free(sample);
}

/* ---- CLIENT LIST ------------------------------------------------------------------------------------------ */

static void test_the_list_of_clients(void **state)
{
    struct skua_reply reply = string_reply("id=9 addr=127.0.0.1:5 laddr=127.0.0.1:7 fd=8 name=web age=100 "
                                           "idle=2 flags=N db=3 sub=1 psub=2 ssub=0 "
                                           "multi=-1 qbuf=26 omem=5 tot-mem=14650 events=r cmd=get "
                                           "user=default lib-name= tot-cmds=156 io-thread=2\n"
                                           "id=2 addr=/run/s.sock:0 name= novalue =x age=\n"
                                           "a line without an id\n"
                                           "\n");
    struct sample *sample = read_text(SKUA_INFO);
    sample_set_clients(sample, &reply);
    assert_true(sample->has_clients);
    assert_int_equal(sample->client_count, 2);
    assert_int_equal(sample->clients[0].id, 2);
    assert_true(isnan(sample->clients[0].age_s));
    assert_true(isnan(sample->clients[0].memory));
    const struct client_row *web = &sample->clients[1];
    assert_slice(web->address, "127.0.0.1:5");
    assert_slice(web->name, "web");
    assert_slice(web->command, "get");
    assert_true(web->memory == 14650 && web->db == 3 && web->subscriptions == 3 && web->io_thread == 2);
    sample_free(sample);
}

static void test_ten_thousand_clients(void **state)
{
    struct buf text = {0};
    for (int i = 10000; i > 0; i--)
        buf_printf(&text, "id=%d addr=10.0.0.1:%d name=c%d age=1 idle=0 flags=N tot-mem=%d cmd=get\n", i, i,
                   i, i);
    struct skua_reply reply = {.type = SKUA_VERBATIM, .string = text.data, .length = text.size};
    struct sample *sample = read_text(SKUA_INFO);
    sample_set_clients(sample, &reply);
    assert_int_equal(sample->client_count, 10000);
    assert_int_equal(sample->clients[0].id, 1);
    assert_int_equal(sample->clients[9999].id, 10000);
    sample_free(sample);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_found_by_name),
        cmocka_unit_test(test_parts_of_a_value),
        cmocka_unit_test(test_a_skua),
        cmocka_unit_test(test_a_redis_has_no_figures_of_others),
        cmocka_unit_test(test_a_valkey),
        cmocka_unit_test(test_texts_that_are_no_info),
        cmocka_unit_test(test_there_is_a_limit_to_rows),
        cmocka_unit_test(test_the_slow_log),
        cmocka_unit_test(test_long_arguments_of_the_slow_log_are_cut),
        cmocka_unit_test(test_a_refusal_is_kept_as_text),
        cmocka_unit_test(test_the_list_of_clients),
        cmocka_unit_test(test_ten_thousand_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
