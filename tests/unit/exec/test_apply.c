/* Proves: requests in bytes take effect, in whatever pieces they come; a transaction is all or nothing; time stands still for what
 * is applied; what is no request is refused where it stands; and nobody but the keyspace notices. */
#include "../../support/command_fixture.h"
#include "base/rng.h"
#include "exec/apply.h"

static void expect_feed(struct apply *apply, const char *text, enum status status, size_t used)
{
    char *bytes = mem_strdup(text);
    size_t found = 0;
    assert_int_equal(apply_feed(apply, bytes, strlen(text), APPLY_NO_BUDGET, &found), status);
    assert_int_equal(found, used);
    mem_free(bytes);
}

static struct apply *apply_plain(struct fixture *fixture)
{
    struct apply_options options = {.skip_annotations = true};
    return apply_new(fixture->exec, &options);
}

#define SET_A  "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
#define INCR_A "*2\r\n$4\r\nincr\r\n$1\r\na\r\n"
#define MULTI  "*1\r\n$5\r\nMULTI\r\n"
#define EXEC   "*1\r\n$4\r\nEXEC\r\n"

static void requests_take_effect(void **state)
{
    struct fixture *fixture = fixture_new();
    struct apply *apply = apply_plain(fixture);
    const char *text = SET_A "#TS:1700000000\r\n" INCR_A "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n" INCR_A;
    expect_feed(apply, text, ST_OK, strlen(text));
    struct apply_report report;
    apply_report(apply, &report);
    assert_int_equal(report.applied, strlen(text));
    assert_int_equal(report.requests, 4);
    assert_int_equal(report.errors, 0);
    assert_int_equal(report.db, 3);
    assert_int_equal(fixture->exec->client_count, 2); /* the fixture's own */
    fixture_expect(fixture, "get a", "$1\r\n2\r\n");
    fixture_expect(fixture, "select 3", "+OK\r\n");
    fixture_expect(fixture, "get a", "$1\r\n1\r\n");
    apply_free(apply);
    fixture_free(fixture);
}

static void transactions_are_all_or_nothing(void **state)
{
    struct fixture *fixture = fixture_new();
    struct apply *apply = apply_plain(fixture);
    struct apply_report report;
    expect_feed(apply, SET_A MULTI INCR_A INCR_A, ST_OK, strlen(SET_A MULTI INCR_A INCR_A));
    apply_report(apply, &report);
    assert_true(report.in_transaction);
    assert_int_equal(report.applied, strlen(SET_A));
    fixture_expect(fixture, "get a", "$1\r\n1\r\n");
    expect_feed(apply, EXEC, ST_OK, strlen(EXEC));
    fixture_expect(fixture, "get a", "$1\r\n3\r\n");
    apply_report(apply, &report);
    assert_int_equal(report.applied, report.consumed);
    expect_feed(apply, MULTI INCR_A, ST_OK, strlen(MULTI INCR_A));
    apply_free(apply); /* in the midst of one */
    fixture_expect(fixture, "get a", "$1\r\n3\r\n");
    fixture_free(fixture);
}

static void pieces_make_no_difference(void **state)
{
    const char *text =
        SET_A MULTI INCR_A "*3\r\n$6\r\nAPPEND\r\n$1\r\nb\r\n$12\r\nhello\r\nworld\r\n" EXEC INCR_A;
    struct rng rng;
    rng_seed(&rng, 3);
    for (int round = 0; round < 200; round++) {
        struct fixture *fixture = fixture_new();
        struct apply *apply = apply_plain(fixture);
        char *bytes = mem_strdup(text);
        size_t begin = 0, end = 0, size = strlen(text);
        while (begin < size) {
            end += rng_below(&rng, 9) + (end < begin ? begin - end : 0);
            end = end > size ? size : end;
            size_t used;
            uint64_t budget_ns = rng_below(&rng, 2) ? 0 : APPLY_NO_BUDGET;
            enum status status = apply_feed(apply, bytes + begin, end - begin, budget_ns, &used);
            assert_true(status == ST_OK || status == ST_AGAIN);
            begin += used;
        }
        fixture_expect(fixture, "get a", "$1\r\n3\r\n");
        fixture_expect(fixture, "get b", "$12\r\nhello\r\nworld\r\n");
        mem_free(bytes);
        apply_free(apply);
        fixture_free(fixture);
    }
}

static void time_stands_still(void **state)
{
    struct fixture *fixture = fixture_new();
    struct apply *apply = apply_plain(fixture);
    const char *text = SET_A "*3\r\n$9\r\nPEXPIREAT\r\n$1\r\na\r\n$4\r\n1000\r\n" INCR_A;
    expect_feed(apply, text, ST_OK, strlen(text));
    assert_int_equal(table_size(fixture->exec->keyspace->dbs[0].keys), 1);
    expect_feed(apply, "*2\r\n$7\r\nPERSIST\r\n$1\r\na\r\n", ST_OK, 24);
    fixture_expect(fixture, "get a", "$1\r\n2\r\n"); /* it had not been deleted in between */
    apply_free(apply);
    fixture_free(fixture);
}

static void errors_are_counted(void **state)
{
    struct fixture *fixture = fixture_new();
    struct apply *apply = apply_plain(fixture);
    const char *text =
        SET_A "*2\r\n$4\r\nLPOP\r\n$1\r\na\r\n"
              "*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nNOPE\r\n*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n" INCR_A;
    struct apply_report report;
    expect_feed(apply, text, ST_OK, strlen(text));
    apply_report(apply, &report);
    assert_int_equal(report.errors, 4);
    assert_int_equal(report.unknown, 3);
    assert_int_equal(report.error_offset, strlen(SET_A));
    assert_non_null(strstr(apply_error(apply), "WRONGTYPE"));
    assert_int_equal(report.fault_offset, strstr(text, "*1\r\n$4\r\nQUIT") - text);
    assert_non_null(strstr(apply_fault(apply), "QUIT"));
    fixture_expect(fixture, "get a", "$1\r\n2\r\n");
    apply_free(apply);
    fixture_free(fixture);
}

static void what_would_wait_does_not(void **state)
{
    struct fixture *fixture = fixture_new();
    struct apply *apply = apply_plain(fixture);
    const char *text = "*3\r\n$5\r\nBLPOP\r\n$1\r\nl\r\n$1\r\n0\r\n" INCR_A;
    expect_feed(apply, text, ST_OK, strlen(text));
    assert_int_equal(fixture->exec->blocked_count, 0);
    fixture_expect(fixture, "get a", "$1\r\n1\r\n");
    apply_free(apply);
    fixture_free(fixture);
}

static void what_is_no_request_is_refused(void **state)
{
    static const char *const wrong[] = {"SET a 1\r\n",
                                        "*1\r\n:5\r\n",
                                        "*x\r\n",
                                        "*0\r\n",
                                        "*-1\r\n",
                                        "*2\r\n$-1\r\n",
                                        "*99999999999999\r\n",
                                        "*1\r\n$99999999999999999\r\n",
                                        "*1\r\n$4\r\nPING12",
                                        "\r\n",
                                        "\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fixture *fixture = fixture_new();
        struct apply *apply = apply_plain(fixture);
        char *text = mem_alloc(strlen(SET_A) + strlen(wrong[i]) + 1);
        memcpy(text, SET_A, strlen(SET_A));
        memcpy(text + strlen(SET_A), wrong[i], strlen(wrong[i]) + 1);
        expect_feed(apply, text, ST_INVALID, strlen(SET_A));
        assert_true(apply_error(apply)[0] != 0);
        assert_true(apply_fault(apply)[0] != 0);
        mem_free(text);
        apply_free(apply);
        fixture_free(fixture);
    }
}

static bool take_getack(void *context, const struct slice *argv, uint32_t argc, uint64_t offset)
{
    if (!slice_equal_nocase(argv[0], "replconf"))
        return false;
    *(uint64_t *)context = offset;
    return true;
}

static void the_owner_may_take_a_request(void **state)
{
    struct fixture *fixture = fixture_new();
    uint64_t offset = 0;
    struct apply_options options = {.intercept = take_getack, .context = &offset};
    struct apply *apply = apply_new(fixture->exec, &options);
    const char *text = SET_A "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n" INCR_A;
    struct apply_report report;
    expect_feed(apply, text, ST_OK, strlen(text));
    apply_report(apply, &report);
    assert_int_equal(offset, strlen(SET_A));
    assert_int_equal(report.errors, 0);
    expect_feed(apply, "#TS:1\r\n", ST_INVALID, 0); /* a link has no annotations */
    apply_free(apply);
    fixture_free(fixture);
}

/* Any bytes at all: they are refused or applied, and nothing breaks. */
static void noise_is_survived(void **state)
{
    struct rng rng;
    rng_seed(&rng, 11);
    const char *text = SET_A MULTI INCR_A EXEC "*3\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$3\r\nabc\r\n" INCR_A;
    size_t size = strlen(text);
    for (int round = 0; round < 2000; round++) {
        struct fixture *fixture = fixture_new();
        struct apply *apply = apply_plain(fixture);
        char *bytes = mem_strdup(text);
        for (uint64_t hits = 1 + rng_below(&rng, 3); hits > 0; hits--)
            bytes[rng_below(&rng, size)] = (char)rng_next(&rng);
        size_t used;
        apply_feed(apply, bytes, size, APPLY_NO_BUDGET, &used);
        struct apply_report report;
        apply_report(apply, &report);
        assert_true(used <= size && report.consumed == used && report.applied <= used);
        mem_free(bytes);
        apply_free(apply);
        fixture_free(fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_take_effect),
        cmocka_unit_test(transactions_are_all_or_nothing),
        cmocka_unit_test(pieces_make_no_difference),
        cmocka_unit_test(time_stands_still),
        cmocka_unit_test(errors_are_counted),
        cmocka_unit_test(what_would_wait_does_not),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(the_owner_may_take_a_request),
        cmocka_unit_test(noise_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
