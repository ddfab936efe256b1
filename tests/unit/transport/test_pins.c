/* Proves: what is told to be over is released in the order in which it was sent, whatever the order in which it is told, in ranges, twice,
 * beside the truth, and across the end of 32-bit numbers. A plain model of all sends says what must come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "base/rng.h"
#include "transport/pins.h"

#define SENDS     4000
#define ORDERED   5 /* sends whose orders are all tried */
#define NEAR_WRAP ((uint64_t)UINT32_MAX - 100)

/* What the tracker must say, sent by sent. */
struct model {
    uint64_t first_number;
    uint64_t ends[SENDS];
    bool is_over[SENDS];
    uint64_t count;
};

static uint64_t model_free_end(const struct model *model)
{
    uint64_t end = 0;
    for (uint64_t i = 0; i < model->count && model->is_over[i]; i++)
        end = model->ends[i];
    return end;
}

/* As if so many had been sent, and were over. */
static void begin_at(struct pins *pins, uint64_t number)
{
    pins_init(pins);
    pins->first = pins->next = number;
}

static void send(struct pins *pins, struct model *model, uint64_t size)
{
    assert_true(model->count < SENDS);
    uint64_t number = pins_add(pins, size);
    assert_int_equal(number, model->first_number + model->count);
    model->ends[model->count] = (model->count ? model->ends[model->count - 1] : 0) + size;
    model->is_over[model->count++] = false;
    assert_int_equal(pins->sent_end, model->ends[model->count - 1]);
}

/* Sends `from` to `to` of the model are said to be over. */
static void complete(struct pins *pins, struct model *model, uint64_t from, uint64_t to, bool copied)
{
    uint64_t fresh = 0;
    for (uint64_t i = from; i <= to; i++) {
        fresh += i < model->count && !model->is_over[i];
        if (i < model->count)
            model->is_over[i] = true;
    }
    struct pins_result result = pins_complete(pins, (uint32_t)(model->first_number + from),
                                              (uint32_t)(model->first_number + to), copied);
    assert_int_equal(result.sends, fresh);
    assert_int_equal(result.copied, copied ? fresh : 0);
    assert_int_equal(result.wrong, to - from + 1 - fresh);
    assert_int_equal(pins->free_end, model_free_end(model));
    assert_int_equal(pins_in_flight(pins), pins->sent_end - pins->free_end);
}

static void every_order_releases_in_the_order_of_sending(void **state)
{
    unsigned order[ORDERED], orders = 0;
    for (unsigned code = 0; code < 5 * 4 * 3 * 2; code++) {
        struct pins pins;
        struct model model = {.first_number = NEAR_WRAP + 98};
        unsigned left[ORDERED], rest = code;
        for (unsigned i = 0; i < ORDERED; i++)
            left[i] = i;
        for (unsigned i = 0; i < ORDERED; i++) {
            unsigned choice = rest % (ORDERED - i);
            rest /= ORDERED - i;
            order[i] = left[choice];
            for (unsigned j = choice; j + 1 < ORDERED - i; j++)
                left[j] = left[j + 1];
        }
        begin_at(&pins, model.first_number);
        for (unsigned i = 0; i < ORDERED; i++)
            send(&pins, &model, 1 + i);
        for (unsigned i = 0; i < ORDERED; i++)
            complete(&pins, &model, order[i], order[i], false);
        assert_int_equal(pins_in_flight(&pins), 0);
        pins_done(&pins);
        orders++;
    }
    assert_int_equal(orders, 120);
}

static void random_ranges_agree_with_the_model(void **state)
{
    static struct model model;
    struct rng rng;
    for (unsigned seed = 0; seed < 60; seed++) {
        struct pins pins;
        rng_seed(&rng, seed);
        model.count = 0;
        model.first_number = seed % 2 ? NEAR_WRAP : seed * 1000;
        begin_at(&pins, model.first_number);
        while (model.count < SENDS) {
            for (uint64_t burst = 1 + rng_below(&rng, 40); burst > 0 && model.count < SENDS; burst--)
                send(&pins, &model, 1 + rng_below(&rng, 1 << 20));
            for (uint64_t told = rng_below(&rng, 12); told > 0; told--) {
                /* Mostly among the last ones; some have been told before. */
                uint64_t span = model.count < 100 ? model.count : 100;
                uint64_t from = model.count - 1 - rng_below(&rng, span);
                uint64_t to = from + rng_below(&rng, model.count - from);
                complete(&pins, &model, from, to, rng_below(&rng, 2));
            }
        }
        complete(&pins, &model, 0, model.count - 1, false);
        assert_int_equal(pins.free_end, pins.sent_end);
        pins_done(&pins);
    }
}

static void what_was_never_sent_is_told_and_changes_nothing(void **state)
{
    struct pins pins;
    struct model model = {.first_number = NEAR_WRAP};
    begin_at(&pins, NEAR_WRAP);
    assert_int_equal(pins_complete(&pins, 7, 7, false).wrong, 1);
    send(&pins, &model, 10);
    send(&pins, &model, 20);
    uint32_t number = (uint32_t)NEAR_WRAP;
    struct pins_result result = pins_complete(&pins, number - 5, number - 1, true);
    assert_int_equal(result.wrong, 5);
    assert_int_equal(result.sends, 0);
    result = pins_complete(&pins, number + 2, number + 2, true);
    assert_int_equal(result.wrong, 1);
    assert_int_equal(pins.free_end, 0);
    assert_int_equal(pins.recent_count, 0);
    /* Over both ends of what there is. */
    result = pins_complete(&pins, number - 1, number + 2, true);
    assert_int_equal(result.sends, 2);
    assert_int_equal(result.wrong, 2);
    assert_int_equal(pins.free_end, 30);
    /* All numbers that there are. */
    send(&pins, &model, 5);
    result = pins_complete(&pins, 0, UINT32_MAX, false);
    assert_int_equal(result.sends, 1);
    assert_int_equal(result.wrong, UINT32_MAX);
    pins_done(&pins);
}

static void the_ring_grows_to_its_limit_and_shrinks_again(void **state)
{
    struct pins pins;
    size_t memory_before = mem_used();
    pins_init(&pins);
    assert_int_equal(pins_memory(&pins), 0);
    for (unsigned i = 0; i < PINS_SENDS_MAX; i++) {
        assert_false(pins_is_full(&pins));
        pins_add(&pins, 1);
    }
    assert_true(pins_is_full(&pins));
    uint64_t most = pins_memory(&pins);
    pins_complete(&pins, 1, PINS_SENDS_MAX - 1, false);
    assert_true(pins_is_full(&pins)); /* the oldest one keeps them all */
    assert_int_equal(pins.free_end, 0);
    pins_complete(&pins, 0, 0, false);
    assert_int_equal(pins.free_end, PINS_SENDS_MAX);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t number = pins_add(&pins, 1);
        pins_complete(&pins, (uint32_t)number, (uint32_t)number, false);
    }
    assert_true(pins_memory(&pins) * 100 < most);
    pins_done(&pins);
    assert_int_equal(mem_used(), memory_before);
}

static void the_last_completions_are_remembered(void **state)
{
    struct pins pins;
    pins_init(&pins);
    for (unsigned i = 0; i < 200; i++)
        pins_add(&pins, 1);
    pins_complete(&pins, 0, 39, true);
    assert_int_equal(pins.recent_count, 40);
    assert_int_equal(pins_recent_copied(&pins), 40);
    pins_complete(&pins, 40, 69, false);
    assert_int_equal(pins.recent_count, PINS_RECENT);
    assert_int_equal(pins_recent_copied(&pins), 34);
    pins_complete(&pins, 0, 69, true); /* have been told: count no more */
    assert_int_equal(pins_recent_copied(&pins), 34);
    pins_complete(&pins, 70, 133, true);
    assert_int_equal(pins_recent_copied(&pins), PINS_RECENT);
    pins_complete(&pins, 134, 134, false);
    assert_int_equal(pins_recent_copied(&pins), PINS_RECENT - 1);
    pins_forget_recent(&pins);
    assert_int_equal(pins_recent_copied(&pins) + pins.recent_count, 0);
    pins_done(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_releases_in_the_order_of_sending),
        cmocka_unit_test(random_ranges_agree_with_the_model),
        cmocka_unit_test(what_was_never_sent_is_told_and_changes_nothing),
        cmocka_unit_test(the_ring_grows_to_its_limit_and_shrinks_again),
        cmocka_unit_test(the_last_completions_are_remembered),
    };
    return cmocka_run_group_tests_name("pins", tests, NULL, NULL);
}
