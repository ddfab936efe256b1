/* Templates: each placeholder, fixed and varying sizes, values that follow from keys, repetition by the seed, and the
 * shares in which workloads mix their steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <skua/reply.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "bench/template.h"
#include "bench/workload.h"
#include "common/quote.h"

struct fixture {
    struct size_distribution sizes;
    struct template_settings settings;
    struct template templ;
    struct generator generator;
    struct buf out;
    char error[TEMPLATE_ERROR_MAX];
};

static bool compile(struct fixture *fixture, const char *text, const char *sizes, uint64_t keys, bool verify)
{
    assert_true(size_distribution_parse(sizes, &fixture->sizes, fixture->error));
    fixture->out = (struct buf){0};
    fixture->settings = (struct template_settings){
        .digits = TEMPLATE_DIGITS, .keys = keys, .sizes = &fixture->sizes, .verify = verify};
    struct quote_words words;
    assert_true(quote_split(slice_from_string(text), &words));
    bool valid =
        template_compile(&fixture->templ, words.items, words.count, &fixture->settings, fixture->error);
    quote_words_done(&words);
    if (valid)
        generator_init(&fixture->generator, &fixture->settings,
                       (struct key_distribution){.kind = KEY_SEQUENTIAL}, 1, 0, 1);
    return valid;
}

static const char *render(struct fixture *fixture)
{
    buf_clear(&fixture->out);
    template_render(&fixture->templ, &fixture->generator, &fixture->out);
    return buf_string(&fixture->out);
}

static void done(struct fixture *fixture)
{
    template_done(&fixture->templ);
    buf_done(&fixture->out);
}

static void test_a_command_without_placeholders(void **state)
{
    struct fixture fixture;
    assert_true(compile(&fixture, "SET a \"b c\"", "3", 1, false));
    assert_string_equal(render(&fixture), "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\nb c\r\n");
    assert_int_equal(fixture.templ.part_count, 0);
    done(&fixture);
}

static void test_numbers_have_a_fixed_width(void **state)
{
    struct fixture fixture;
    assert_true(compile(&fixture, "GET key:{key}", "3", 200, false));
    assert_string_equal(render(&fixture), "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000000\r\n");
    for (int i = 1; i < 123; i++)
        render(&fixture);
    assert_string_equal(render(&fixture), "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000123\r\n");
    done(&fixture);
}

static void test_each_placeholder(void **state)
{
    struct fixture fixture;
    assert_true(compile(&fixture, "X {key}{same} {next} {new} {seq} {rand:1} a{rand:10}b __rand_int__", "3",
                        5, false));
    render(&fixture);
    const char *text = render(&fixture);
    assert_memory_equal(text, "*8\r\n$1\r\nX\r\n$24\r\n", 16);
    /* The first request has taken 0 and, by __rand_int__, 1. */
    assert_non_null(
        strstr(text, "\r\n000000000002000000000002\r\n$12\r\n000000000003\r\n$12\r\n000000000006\r\n"));
    assert_non_null(strstr(text, "\r\n$12\r\n000000000001\r\n$1\r\n0\r\n$3\r\na"));
    assert_non_null(strstr(text, "b\r\n$12\r\n000000000003\r\n"));
    done(&fixture);
}

static void test_other_braces_stay(void **state)
{
    struct fixture fixture;
    assert_true(compile(&fixture, "GET {tag}{rand:0}{rand:x}{", "3", 5, false));
    assert_string_equal(render(&fixture), "*2\r\n$3\r\nGET\r\n$22\r\n{tag}{rand:0}{rand:x}{\r\n");
    done(&fixture);
}

static void test_random_numbers_stay_below_their_bound(void **state)
{
    struct fixture fixture;
    unsigned seen[30] = {0};
    assert_true(compile(&fixture, "X {rand:30}", "3", 5, false));
    for (int i = 0; i < 3000; i++) {
        const char *text = render(&fixture) + strlen("*2\r\n$1\r\nX\r\n$2\r\n");
        int number = (text[0] - '0') * 10 + text[1] - '0';
        assert_in_range(number, 0, 29);
        seen[number]++;
    }
    for (int i = 0; i < 30; i++)
        assert_in_range(seen[i], 50, 150);
    done(&fixture);
}

static void test_values_of_varying_size_have_right_lengths(void **state)
{
    struct fixture fixture;
    assert_true(compile(&fixture, "SET k:{key} <{value}>", "0-300", 10, false));
    assert_false(fixture.templ.fixed);
    bool short_seen = false, long_seen = false;
    for (int i = 0; i < 2000; i++) {
        render(&fixture);
        const char *length = strstr(fixture.out.data, "$14\r\nk:0000000000") + 5 + 14 + 2;
        char *value;
        assert_int_equal(length[0], '$');
        unsigned long size = strtoul(length + 1, &value, 10);
        assert_in_range(size, 2, 302);
        short_seen |= size < 20;
        long_seen |= size > 290;
        assert_memory_equal(value, "\r\n<", 3);
        assert_memory_equal(value + 2 + size - 1, ">\r\n", 3);
        assert_int_equal(value + 2 + size + 2 - fixture.out.data, fixture.out.size);
    }
    assert_true(short_seen && long_seen);
    done(&fixture);
}

/* What verify promises: the value, and its size, are those of the key, in every run and in both kinds of template. */
static void check_values_follow_from_keys(const char *sizes)
{
    struct fixture fixture;
    assert_true(compile(&fixture, "SET {key} {value}", sizes, 50, true));
    for (uint64_t key = 0; key < 50; key++) {
        render(&fixture);
        size_t size = value_size_of(&fixture.sizes, key);
        const char *value = fixture.out.data + fixture.out.size - 2 - size;
        assert_true(value_matches(value, size, key));
        if (size > 0)
            assert_false(value_matches(value, size, key + 1));
    }
    done(&fixture);
}

static void test_values_follow_from_keys(void **state)
{
    check_values_follow_from_keys("40");
    check_values_follow_from_keys("16-6000");
    check_values_follow_from_keys("20:50,9000:50");
}

static void test_every_byte_of_a_value_is_compared(void **state)
{
    enum { SIZE = 9000 };
    char *value = mem_alloc(SIZE);
    value_write(value, SIZE, 42);
    assert_true(value_matches(value, SIZE, 42));
    for (size_t i = 0; i < SIZE; i += 7) {
        value[i] ^= 1;
        assert_false(value_matches(value, SIZE, 42));
        value[i] ^= 1;
    }
    assert_true(value_matches(value, SIZE - 1, 42));
    mem_free(value);
}

static void test_the_same_seed_gives_the_same_requests(void **state)
{
    struct fixture one, other, third;
    const char *const command = "SET {key} {value} {rand}";
    assert_true(compile(&one, command, "1-50", 1000, false));
    assert_true(compile(&other, command, "1-50", 1000, false));
    assert_true(compile(&third, command, "1-50", 1000, false));
    struct key_distribution zipf = {KEY_ZIPF, KEY_THETA};
    generator_init(&one.generator, &one.settings, zipf, 7, 1, 2);
    generator_init(&other.generator, &other.settings, zipf, 7, 1, 2);
    generator_init(&third.generator, &third.settings, zipf, 8, 1, 2);
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        render(&one);
        assert_string_equal(one.out.data, render(&other));
        differs |= strcmp(one.out.data, render(&third)) != 0;
    }
    assert_true(differs);
    done(&one);
    done(&other);
    done(&third);
}

static void test_types_of_replies(void **state)
{
    const struct {
        const char *command;
        enum skua_type allowed, refused;
    } rows[] = {
        {"GET k", SKUA_NULL, SKUA_INTEGER},        {"get k", SKUA_STRING, SKUA_STATUS},
        {"SET k v", SKUA_STATUS, SKUA_NULL},       {"SET k v NX", SKUA_NULL, SKUA_ERROR},
        {"INCR k", SKUA_INTEGER, SKUA_STRING},     {"PING", SKUA_STATUS, SKUA_STRING},
        {"PING x", SKUA_STRING, SKUA_STATUS},      {"LPOP k 2", SKUA_ARRAY, SKUA_ERROR},
        {"LRANGE k 0 1", SKUA_ARRAY, SKUA_STRING}, {"NEW.COMMAND k", SKUA_MAP, SKUA_ERROR},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct fixture fixture;
        assert_true(compile(&fixture, rows[i].command, "3", 1, false));
        assert_true(fixture.templ.reply_types & (1u << rows[i].allowed));
        assert_false(fixture.templ.reply_types & (1u << rows[i].refused));
        done(&fixture);
    }
}

static void test_commands_that_are_refused(void **state)
{
    struct fixture fixture;
    assert_false(compile(&fixture, "", "3", 1, false));
    assert_string_equal(fixture.error, "a command has 1 to 4096 words");
    assert_false(compile(&fixture, "SET k {value}{value}", "3", 1, false));
    assert_string_equal(fixture.error, "{value} twice in one argument");
}

/* ---- Workloads ---------------------------------------------------------------------------------------------- */

static struct workload_options options_for(uint64_t keys)
{
    struct workload_options options = {.keys = keys, .digits = TEMPLATE_DIGITS, .prefix = "key:"};
    options.sizes = (struct size_distribution){.part_count = 1, .parts = {{3, 3, 1}}};
    return options;
}

static void test_weights_become_shares(void **state)
{
    static struct workloads workloads;
    struct workload_options options = options_for(10);
    char error[WORKLOAD_ERROR_MAX];
    const char *const commands[] = {"GET key:{key} @9", "SET key:{key} {value} @2.5", "INCR n"};
    assert_true(workloads_add_commands(&workloads, commands, 3, &options, error));
    const struct workload *workload = &workloads.items[0];
    assert_string_equal(workload->info.commands[0], "GET key:{key}");
    assert_true(workload->info.shares[0] == 9 / 12.5);
    assert_true(workload->info.shares[2] == 1 / 12.5);
    assert_true(workload->steps[1].up_to == 11.5 / 12.5);
    assert_true(workload->steps[2].up_to == 1);
    workloads_done(&workloads);
    const char *const wrong[] = {"GET k @0", "GET k @x", "GET \"k", "GET k @-1"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        *error = '\0';
        assert_false(workloads_add_commands(&workloads, &wrong[i], 1, &options, error));
        assert_true(*error != '\0');
        assert_int_equal(workloads.count, 0);
    }
}

static void test_ycsb_is_as_defined(void **state)
{
    static struct workloads workloads;
    struct workload_options options = options_for(10);
    char error[WORKLOAD_ERROR_MAX];
    assert_true(workloads_add_named(&workloads, SLICE("ycsb"), &options, error));
    assert_int_equal(workloads.count, 6);
    assert_string_equal(workloads.items[0].info.definition,
                        "50 % read, 50 % update; keys zipf:0.99; records are strings of 1,000 bytes");
    assert_string_equal(workloads.items[3].info.definition,
                        "95 % read, 5 % insert; keys latest:0.99; records are strings of 1,000 bytes");
    assert_true(workloads.items[1].info.shares[0] == 0.95);
    assert_int_equal(workloads.items[0].sizes.parts[0].low, 1000);
    /* E: 1 to 100 records, each as often; then inserts. */
    const struct workload *scans = &workloads.items[4];
    assert_int_equal(scans->step_count, 101);
    assert_int_equal(scans->info.command_count, 2);
    /* F: what is written comes behind what was read, and never else. */
    const struct workload *modify = &workloads.items[5];
    assert_int_equal(modify->step_count, 3);
    assert_int_equal(modify->steps[1].follow, 2);
    assert_true(modify->steps[2].up_to == modify->steps[1].up_to);
    assert_int_equal(modify->steps[0].follow, -1);
    workloads_done(&workloads);
}

static void test_names_stand_for_one_or_several(void **state)
{
    static struct workloads workloads;
    struct workload_options options = options_for(10);
    char error[WORKLOAD_ERROR_MAX];
    assert_true(workloads_add_named(&workloads, SLICE("PING"), &options, error));
    assert_int_equal(workloads.count, 2);
    assert_string_equal(workloads.items[0].info.title, "PING_INLINE");
    assert_memory_equal(workloads.items[0].steps[0].templ.bytes, "PING\r\n", 6);
    assert_true(workloads_add_named(&workloads, SLICE("lrange"), &options, error));
    assert_int_equal(workloads.count, 6);
    assert_true(workloads_add_default(&workloads, &options, error));
    assert_int_equal(workloads.count, 6 + 19);
    assert_false(workloads_add_named(&workloads, SLICE("nonsense"), &options, error));
    assert_string_equal(error, "there is no workload 'nonsense'; --workloads lists them");
    workloads_done(&workloads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_command_without_placeholders),
        cmocka_unit_test(test_numbers_have_a_fixed_width),
        cmocka_unit_test(test_each_placeholder),
        cmocka_unit_test(test_other_braces_stay),
        cmocka_unit_test(test_random_numbers_stay_below_their_bound),
        cmocka_unit_test(test_values_of_varying_size_have_right_lengths),
        cmocka_unit_test(test_values_follow_from_keys),
        cmocka_unit_test(test_every_byte_of_a_value_is_compared),
        cmocka_unit_test(test_the_same_seed_gives_the_same_requests),
        cmocka_unit_test(test_types_of_replies),
        cmocka_unit_test(test_commands_that_are_refused),
        cmocka_unit_test(test_weights_become_shares),
        cmocka_unit_test(test_ycsb_is_as_defined),
        cmocka_unit_test(test_names_stand_for_one_or_several),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
