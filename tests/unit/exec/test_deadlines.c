/* The heap of deadlines against a plain search, over random additions and removals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/rng.h"
#include "exec/client.h"
#include "exec/deadlines.h"

#define CLIENTS 300
#define STEPS   20000

static void check(const struct deadlines *deadlines, const struct client *clients)
{
    size_t listed = 0;
    for (size_t i = 0; i < CLIENTS; i++)
        listed += clients[i].deadline_place != 0;
    assert_int_equal(listed, deadlines->count);
    for (size_t i = 0; i < deadlines->count; i++) {
        assert_int_equal(deadlines->heap[i]->deadline_place, i + 1); /* D1 */
        if (i > 0)                                                   /* D2 */
            assert_true(deadlines->heap[(i - 1) / 2]->block_deadline_ns <=
                        deadlines->heap[i]->block_deadline_ns);
    }
}

static const struct client *earliest(const struct client *clients)
{
    const struct client *found = NULL;
    for (size_t i = 0; i < CLIENTS; i++)
        if (clients[i].deadline_place && (!found || clients[i].block_deadline_ns < found->block_deadline_ns))
            found = &clients[i];
    return found;
}

static void the_first_is_the_earliest(void **state)
{
    static struct client clients[CLIENTS];
    struct deadlines deadlines = {0};
    struct rng rng;
    rng_seed(&rng, 1);
    for (unsigned step = 0; step < STEPS; step++) {
        struct client *client = &clients[rng_next(&rng) % CLIENTS];
        if (client->deadline_place) {
            deadlines_remove(&deadlines, client);
            assert_int_equal(client->deadline_place, 0);
        } else {
            client->block_deadline_ns = 1 + rng_next(&rng) % (2 * CLIENTS); /* some are equal */
            deadlines_add(&deadlines, client);
        }
        deadlines_remove(&deadlines, &(struct client){0}); /* one that is not there */
        if (step % 50 == 0)
            check(&deadlines, clients);
        const struct client *first = deadlines_first(&deadlines), *expected = earliest(clients);
        assert_true(!first == !expected);
        if (first)
            assert_int_equal(first->block_deadline_ns, expected->block_deadline_ns);
    }
    uint64_t last = 0;
    for (struct client *first; (first = deadlines_first(&deadlines));) {
        assert_true(first->block_deadline_ns >= last);
        last = first->block_deadline_ns;
        deadlines_remove(&deadlines, first);
    }
    deadlines_done(&deadlines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_the_earliest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
