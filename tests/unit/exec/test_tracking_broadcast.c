/* Names that change are noted once for each prefix that they begin with, and with who alone has changed them; members and prefixes come and
 * go beside a model that tries every prefix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/rng.h"
#include "exec/tracking_broadcast.h"

#define PREFIXES 12
#define MEMBERS  6

static const char *const prefix_names[PREFIXES] = {"",  "a",  "ab",  "abc", "b",   "ba",
                                                   "c", "ca", "cab", "x",   "xyz", "abcabcabc"};

/* What is told, as text: "member:name,name;" */
static void append_batch(void *context, const struct broadcast_batch *batch)
{
    for (size_t m = 0; m < batch->member_count; m++) {
        buf_printf(context, "%s:", (const char *)batch->members[m]);
        for (size_t i = 0; i < batch->name_count; i++)
            buf_printf(context, "%.*s/%llu,", (int)batch->names[i]->size, batch->names[i]->name,
                       (unsigned long long)batch->names[i]->changed_by);
        buf_append_char(context, ';');
    }
}

static void expect_taken(struct broadcast *broadcast, const char *expected)
{
    struct buf text = {0};
    broadcast_check(broadcast);
    broadcast_take(broadcast, append_batch, &text);
    assert_string_equal(buf_string(&text), expected);
    assert_int_equal(broadcast_noted(broadcast), 0);
    buf_done(&text);
}

static void note(struct broadcast *broadcast, const char *name, uint64_t by)
{
    assert_true(broadcast_note(broadcast, slice_from_string(name), by));
}

static void names_go_to_the_members_of_their_prefixes(void **state)
{
    struct broadcast broadcast;
    char all[] = "all", users[] = "users", both[] = "both";
    broadcast_init(&broadcast, 7);
    note(&broadcast, "user:1", 0);
    expect_taken(&broadcast, "");
    struct broadcast_prefix *users_of_users = broadcast_join(&broadcast, SLICE("user:"), users);
    struct broadcast_prefix *users_of_both = broadcast_join(&broadcast, SLICE("user:"), both);
    struct broadcast_prefix *orders_of_both = broadcast_join(&broadcast, SLICE("order:"), both);
    assert_ptr_equal(users_of_users, users_of_both);
    note(&broadcast, "order:1", 1);
    note(&broadcast, "user:1", 1);
    note(&broadcast, "user:2", 2);
    note(&broadcast, "user", 2);
    note(&broadcast, "", 2);
    expect_taken(&broadcast, "both:order:1/1,;users:user:1/1,user:2/2,;both:user:1/1,user:2/2,;");
    struct broadcast_prefix *all_of_all = broadcast_join(&broadcast, SLICE(""), all);
    note(&broadcast, "", 2);
    expect_taken(&broadcast, "all:/2,;");
    broadcast_leave(&broadcast, users_of_users, users);
    broadcast_leave(&broadcast, all_of_all, all);
    note(&broadcast, "user:1", 0);
    expect_taken(&broadcast, "both:user:1/0,;");
    broadcast_leave(&broadcast, users_of_both, both);
    broadcast_leave(&broadcast, orders_of_both, both);
    assert_int_equal(broadcast_prefix_count(&broadcast), 0);
    broadcast_done(&broadcast);
}

static void a_name_is_noted_once_and_with_the_only_one_who_has_changed_it(void **state)
{
    struct broadcast broadcast;
    char all[] = "all";
    broadcast_init(&broadcast, 7);
    struct broadcast_prefix *prefix = broadcast_join(&broadcast, SLICE(""), all);
    note(&broadcast, "mine", 5);
    note(&broadcast, "mine", 5);
    note(&broadcast, "shared", 5);
    note(&broadcast, "shared", 6);
    note(&broadcast, "shared", 5);
    note(&broadcast, "over", 5);
    note(&broadcast, "over", 0);
    expect_taken(&broadcast, "all:mine/5,shared/0,over/0,;");
    broadcast_leave(&broadcast, prefix, all);
    broadcast_done(&broadcast);
}

struct count {
    unsigned told[MEMBERS]; /* names, by member */
};

static char members[MEMBERS];

static void count_batch(void *context, const struct broadcast_batch *batch)
{
    struct count *count = context;
    for (size_t m = 0; m < batch->member_count; m++)
        count->told[(char *)batch->members[m] - members] += (unsigned)batch->name_count;
}

/* How often the member is told of a name: once for each of its prefixes. */
static unsigned expected_for(const bool *joined, const char *name)
{
    unsigned count = 0;
    for (unsigned p = 0; p < PREFIXES; p++)
        count += joined[p] && strncmp(name, prefix_names[p], strlen(prefix_names[p])) == 0;
    return count;
}

static void members_come_and_go_as_in_a_model(void **state)
{
    struct broadcast broadcast;
    struct broadcast_prefix *places[MEMBERS][PREFIXES];
    bool joined[MEMBERS][PREFIXES] = {{false}};
    struct rng rng;
    rng_seed(&rng, 9);
    broadcast_init(&broadcast, 7);
    for (unsigned step = 0; step < 3000; step++) {
        unsigned m = (unsigned)rng_below(&rng, MEMBERS), p = (unsigned)rng_below(&rng, PREFIXES);
        if (joined[m][p])
            broadcast_leave(&broadcast, places[m][p], &members[m]);
        else
            places[m][p] = broadcast_join(&broadcast, slice_from_string(prefix_names[p]), &members[m]);
        joined[m][p] = !joined[m][p];
        char name[12] = "";
        for (size_t i = 0, size = rng_below(&rng, sizeof name); i < size; i++)
            name[i] = "abcxyz"[rng_below(&rng, 6)];
        note(&broadcast, name, 1);
        note(&broadcast, name, 2);
        broadcast_check(&broadcast);
        struct count count = {{0}};
        broadcast_take(&broadcast, count_batch, &count);
        for (unsigned i = 0; i < MEMBERS; i++)
            assert_int_equal(count.told[i], expected_for(joined[i], name));
    }
    for (unsigned m = 0; m < MEMBERS; m++)
        for (unsigned p = 0; p < PREFIXES; p++)
            if (joined[m][p])
                broadcast_leave(&broadcast, places[m][p], &members[m]);
    broadcast_done(&broadcast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_to_the_members_of_their_prefixes),
        cmocka_unit_test(a_name_is_noted_once_and_with_the_only_one_who_has_changed_it),
        cmocka_unit_test(members_come_and_go_as_in_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
