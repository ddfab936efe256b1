/* Proves: the way of sending that costs less is found for each size, kept while it costs less, and left when it does not; that small sends are never
 * tried; and that all of it costs at most a twentieth more than copying, whatever the machine is like. A table of costs is the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/rng.h"
#include "transport/send_policy.h"

#define KB ((uint64_t)1024)

/* What a machine makes one pay, in nanoseconds. */
struct machine {
    uint64_t copy_call, copy_ps_per_byte;
    uint64_t pinned_call, pinned_ps_per_byte;
    uint64_t completion;
    uint64_t noise_percent;
};

static const struct machine cards = {.copy_call = 1500,
                                     .copy_ps_per_byte = 300,
                                     .pinned_call = 7000,
                                     .pinned_ps_per_byte = 130,
                                     .completion = 2000,
                                     .noise_percent = 30};
static const struct machine loopback = {.copy_call = 1500,
                                        .copy_ps_per_byte = 300,
                                        .pinned_call = 6000,
                                        .pinned_ps_per_byte = 420,
                                        .completion = 2000,
                                        .noise_percent = 30};
static const struct machine cheap_pins = {.copy_call = 1500,
                                          .copy_ps_per_byte = 300,
                                          .pinned_call = 2000,
                                          .pinned_ps_per_byte = 60,
                                          .completion = 300,
                                          .noise_percent = 30};

static uint64_t cost_ns(const struct machine *machine, enum send_way way, uint64_t size)
{
    if (way == SEND_COPY)
        return machine->copy_call + size * machine->copy_ps_per_byte / 1000;
    return machine->pinned_call + size * machine->pinned_ps_per_byte / 1000;
}

static uint64_t with_noise(const struct machine *machine, struct rng *rng, uint64_t ns)
{
    uint64_t span = ns * machine->noise_percent / 100;
    return ns - span + rng_below(rng, 2 * span + 1);
}

/* So many sends of one size. Returns what they cost in all. */
static uint64_t run(struct send_policy *policy, const struct machine *machine, struct rng *rng, uint64_t size,
                    unsigned sends, unsigned *ret_pinned)
{
    uint64_t spent_ns = 0;
    unsigned pinned = 0;
    for (unsigned i = 0; i < sends; i++) {
        struct send_choice choice = send_policy_choose(policy, size, 0);
        uint64_t ns = with_noise(machine, rng, cost_ns(machine, choice.way, size));
        spent_ns += ns;
        if (choice.is_measured)
            send_policy_note(policy, choice.way, size, size, ns);
        if (choice.way == SEND_PINNED) {
            pinned++;
            spent_ns += machine->completion;
            if (i % 8 == 0)
                send_policy_note_completions(policy, 1, machine->completion);
        }
    }
    if (ret_pinned)
        *ret_pinned = pinned;
    return spent_ns;
}

static void starts_where_pinning_usually_pays(void **state)
{
    struct send_policy policy;
    send_policy_init(&policy);
    assert_int_equal(send_policy_threshold(&policy), SEND_POLICY_START);
    assert_int_equal(send_policy_choose(&policy, SEND_POLICY_START, 0).way, SEND_PINNED);
    assert_int_equal(send_policy_choose(&policy, SEND_POLICY_START - 1, 0).way, SEND_COPY);
}

static void small_sends_are_never_tried(void **state)
{
    struct send_policy policy;
    send_policy_init(&policy);
    for (unsigned i = 0; i < 100000; i++) {
        struct send_choice choice = send_policy_choose(&policy, SEND_POLICY_SIZE_MIN - 1, 0);
        assert_int_equal(choice.way, SEND_COPY);
        assert_false(choice.is_measured);
    }
}

static void a_fixed_size_is_obeyed_whatever_it_costs(void **state)
{
    struct send_policy policy;
    struct rng rng;
    rng_seed(&rng, 1);
    send_policy_init(&policy);
    run(&policy, &loopback, &rng, 512 * KB, 5000, NULL);
    assert_int_equal(send_policy_choose(&policy, 100, 100).way, SEND_PINNED);
    assert_int_equal(send_policy_choose(&policy, 99, 100).way, SEND_COPY);
    assert_int_equal(send_policy_choose(&policy, 1024 * KB, 1024 * KB + 1).way, SEND_COPY);
    assert_false(send_policy_choose(&policy, 1024 * KB, 1).is_measured);
}

/* The classes from the first one that is pinned by `machine` on, after enough sends of all sizes. */
static uint64_t threshold_of(const struct machine *machine, struct send_policy *policy, unsigned seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (unsigned round = 0; round < 200; round++)
        for (uint64_t size = 16 * KB; size <= 1024 * KB; size *= 2)
            run(policy, machine, &rng, size, 100, NULL);
    return send_policy_threshold(policy);
}

static void the_threshold_goes_where_the_machine_has_it(void **state)
{
    for (unsigned seed = 0; seed < 20; seed++) {
        struct send_policy policy;
        send_policy_init(&policy);
        assert_int_equal(threshold_of(&cards, &policy, seed), 64 * KB);
        /* Another path, and another: what was learnt is not for ever. */
        assert_int_equal(threshold_of(&loopback, &policy, seed), UINT64_MAX);
        assert_int_equal(threshold_of(&cheap_pins, &policy, seed), 16 * KB);
        assert_int_equal(threshold_of(&cards, &policy, seed), 64 * KB);
    }
}

static void it_costs_hardly_more_than_copying_and_less_where_it_can(void **state)
{
    static const struct machine *const machines[] = {&cards, &loopback, &cheap_pins};
    for (unsigned m = 0; m < ARRAY_COUNT(machines); m++) {
        for (uint64_t size = 64; size <= 1024 * KB; size *= 2) {
            struct send_policy policy;
            struct rng rng;
            rng_seed(&rng, m);
            send_policy_init(&policy);
            uint64_t copies_ns = 0, sends = 20000;
            for (unsigned i = 0; i < sends; i++)
                copies_ns += with_noise(machines[m], &rng, cost_ns(machines[m], SEND_COPY, size));
            uint64_t spent_ns = run(&policy, machines[m], &rng, size, (unsigned)sends, NULL);
            assert_true(spent_ns * 100 <= copies_ns * 105);
            if (size >= 256 * KB && machines[m] != &loopback)
                assert_true(spent_ns * 100 <= copies_ns * 70);
        }
    }
}

static void one_sample_that_took_long_changes_nothing(void **state)
{
    struct send_policy policy;
    struct rng rng;
    unsigned pinned;
    rng_seed(&rng, 3);
    send_policy_init(&policy);
    run(&policy, &cards, &rng, 256 * KB, 2000, NULL);
    send_policy_note(&policy, SEND_PINNED, 256 * KB, 256 * KB, 50000000);
    run(&policy, &cards, &rng, 256 * KB, 2000, &pinned);
    assert_true(pinned > 1500);
}

static void completions_are_part_of_the_price(void **state)
{
    struct send_policy policy;
    struct machine slow = cards;
    slow.completion = 60000;
    send_policy_init(&policy);
    assert_int_equal(threshold_of(&slow, &policy, 5), 512 * KB);
    /* Times when nothing was told are paid with the next that is. */
    send_policy_init(&policy);
    send_policy_note_completions(&policy, 0, 300);
    send_policy_note_completions(&policy, 2, 100);
    assert_int_equal(policy.completion_ps, 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_where_pinning_usually_pays),
        cmocka_unit_test(small_sends_are_never_tried),
        cmocka_unit_test(a_fixed_size_is_obeyed_whatever_it_costs),
        cmocka_unit_test(the_threshold_goes_where_the_machine_has_it),
        cmocka_unit_test(it_costs_hardly_more_than_copying_and_less_where_it_can),
        cmocka_unit_test(one_sample_that_took_long_changes_nothing),
        cmocka_unit_test(completions_are_part_of_the_price),
    };
    return cmocka_run_group_tests_name("send_policy", tests, NULL, NULL);
}
