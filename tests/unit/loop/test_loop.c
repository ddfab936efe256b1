/* Proves: sources are reported as long as they are ready and never after their removal (E1, E2), a hangup does not
 * make an uninterested source spin (E3), timers fire in order and once (E5, E6), and a simulated loop obeys the
 * hooked clock. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "base/rng.h"
#include "loop/loop.h"

#define SECOND_NS UINT64_C(1000000000)
#define TIMERS    500

static struct clock real_clock;

static struct loop *new_loop(void)
{
    struct loop *loop;
    clock_init_real(&real_clock);
    assert_int_equal(loop_new(&(struct loop_options){.clock = &real_clock}, &loop), ST_OK);
    return loop;
}

/* One end of a socket pair in a loop, and what it was told. */
struct probe {
    struct loop_source source;
    struct loop *loop;
    int other_fd;
    unsigned calls;
    unsigned events;
    bool drain;
    struct probe *remove[4]; /* what to take out of the loop when called */
};

static void on_ready_after_removal(struct loop_source *source, unsigned events)
{
    fail_msg("a removed source was called");
}

/* Takes a source out and leaves its memory as if it had been given away and used for something else since. */
static void remove_and_reuse(struct loop *loop, struct loop_source *source)
{
    loop_remove(loop, source);
    source->interest = LOOP_READABLE | LOOP_WRITABLE;
    source->ready = on_ready_after_removal;
}

static void on_ready(struct loop_source *source, unsigned events)
{
    struct probe *probe = container_of(source, struct probe, source);
    char bytes[64];
    probe->calls++;
    probe->events = events;
    if (probe->drain && (events & LOOP_READABLE))
        assert_true(recv(source->fd, bytes, sizeof(bytes), MSG_DONTWAIT) >= 0);
    for (size_t i = 0; i < ARRAY_COUNT(probe->remove); i++) {
        if (probe->remove[i])
            remove_and_reuse(probe->loop, &probe->remove[i]->source);
    }
}

static void probe_init(struct probe *probe, struct loop *loop)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *probe = (struct probe){.source = {.fd = fds[0], .ready = on_ready}, .loop = loop, .other_fd = fds[1]};
}

static void probe_done(struct probe *probe)
{
    loop_remove(probe->loop, &probe->source);
    close(probe->source.fd);
    if (probe->other_fd >= 0)
        close(probe->other_fd);
}

static void probe_poke(const struct probe *probe)
{
    assert_int_equal(write(probe->other_fd, "x", 1), 1);
}

static void readiness_is_level_style(void **state)
{
    struct loop *loop = new_loop();
    struct probe probe;
    probe_init(&probe, loop);
    assert_int_equal(loop_add(loop, &probe.source, LOOP_READABLE, false), ST_OK);
    assert_int_equal(loop_poll(loop, 0), 0);
    probe_poke(&probe);
    assert_int_equal(loop_poll(loop, UINT64_MAX), 1);
    assert_int_equal(loop_poll(loop, 0), 1);
    assert_int_equal(probe.events, LOOP_READABLE);
    probe.drain = true;
    assert_int_equal(loop_poll(loop, 0), 1);
    assert_int_equal(loop_poll(loop, 0), 0);
    assert_int_equal(probe.calls, 3);
    assert_int_equal(loop_change(loop, &probe.source, LOOP_READABLE | LOOP_WRITABLE), ST_OK);
    assert_int_equal(loop_poll(loop, 0), 1);
    assert_int_equal(probe.events, LOOP_WRITABLE);
    assert_int_equal(loop_change(loop, &probe.source, 0), ST_OK);
    probe_poke(&probe);
    assert_int_equal(loop_poll(loop, 0), 0);
    assert_int_equal(loop_change(loop, &probe.source, LOOP_WRITABLE | LOOP_READABLE), ST_OK);
    assert_int_equal(loop_poll(loop, 0), 1);
    assert_int_equal(probe.events, LOOP_WRITABLE | LOOP_READABLE);
    probe_done(&probe);
    loop_free(loop);
}

/* All four are ready in one poll; the first to be called removes the rest, whichever it is. */
/* A source that reads at most 8 bytes each time it is told, and tells when that was all. */
static void on_ready_to_read(struct loop_source *source, unsigned events)
{
    struct probe *probe = container_of(source, struct probe, source);
    char bytes[8];
    probe->calls++;
    assert_int_equal(events, LOOP_READABLE);
    if (!probe->drain)
        return;
    ssize_t size = recv(source->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    assert_true(size >= 0);
    if (size == 0)
        loop_change(probe->loop, source, 0);
    else if (size < (ssize_t)sizeof(bytes))
        loop_note_read(source);
}

static void expect_calls(struct probe *probe, unsigned calls)
{
    probe->calls = 0;
    for (int i = 0; i < 6; i++)
        loop_poll(probe->loop, 0);
    assert_int_equal(probe->calls, calls);
}

/* What is left is reported until it has been read, whoever reports it: the kernel tells only of what is new. */
static void who_tells_what_it_has_read_is_told_of_the_rest(void **state)
{
    struct loop *loop = new_loop();
    struct probe probe;
    probe_init(&probe, loop);
    probe.source.ready = on_ready_to_read;
    probe.source.tells_read = true;
    assert_int_equal(loop_add(loop, &probe.source, LOOP_READABLE, false), ST_OK);
    expect_calls(&probe, 0);
    assert_int_equal(write(probe.other_fd, "123", 3), 3);
    expect_calls(&probe, 6); /* not read at all */
    probe.drain = true;
    expect_calls(&probe, 1);
    assert_int_equal(write(probe.other_fd, "12345678901234567890", 20), 20);
    expect_calls(&probe, 3); /* 8, 8 and 4 bytes */
    assert_int_equal(write(probe.other_fd, "12345678", 8), 8);
    probe.calls = 0;
    loop_poll(loop, 0);
    assert_int_equal(probe.calls, 1); /* all of it, which is not known */
    assert_int_equal(loop_change(loop, &probe.source, 0), ST_OK);
    expect_calls(&probe, 0);
    assert_int_equal(write(probe.other_fd, "1", 1), 1);
    expect_calls(&probe, 0);
    assert_int_equal(loop_change(loop, &probe.source, LOOP_READABLE), ST_OK);
    expect_calls(&probe, 1);
    /* An end that has come with the last bytes. */
    assert_int_equal(write(probe.other_fd, "1", 1), 1);
    assert_int_equal(shutdown(probe.other_fd, SHUT_WR), 0);
    expect_calls(&probe, 2);
    assert_int_equal(probe.source.interest, 0);
    probe_done(&probe);
    loop_free(loop);
}

static void a_removed_source_is_not_called_in_the_same_poll(void **state)
{
    struct loop *loop = new_loop();
    struct probe probes[4];
    unsigned calls = 0;
    for (int i = 0; i < 4; i++) {
        probe_init(&probes[i], loop);
        for (int j = 0; j < i; j++) {
            probes[i].remove[j] = &probes[j];
            probes[j].remove[i] = &probes[i];
        }
    }
    for (int i = 0; i < 4; i++) {
        probes[i].remove[i] = &probes[i]; /* and itself */
        assert_int_equal(loop_add(loop, &probes[i].source, LOOP_READABLE, false), ST_OK);
        probe_poke(&probes[i]);
    }
    assert_int_equal(loop_poll(loop, UINT64_MAX), 1);
    assert_int_equal(loop_poll(loop, 0), 0);
    for (int i = 0; i < 4; i++) {
        calls += probes[i].calls;
        probe_done(&probes[i]);
    }
    assert_int_equal(calls, 1);
    loop_free(loop);
}

struct changer {
    struct loop_source source;
    struct loop *loop;
    struct loop_source *victim;
    unsigned interest;
};

static void change_victim(struct loop_source *source, unsigned events)
{
    struct changer *changer = container_of(source, struct changer, source);
    loop_change(changer->loop, changer->victim, changer->interest);
}

/* The kernel's answer is older than the change of interest: what is no longer wanted is not reported. Both orders
 * of the answers are allowed, so the order is found out first. */
static void a_change_of_interest_counts_in_the_same_poll(void **state)
{
    struct loop *loop = new_loop();
    struct probe first, second;
    probe_init(&first, loop);
    probe_init(&second, loop);
    struct changer changer = {.source = {.fd = first.source.fd, .ready = change_victim},
                              .loop = loop,
                              .victim = &second.source,
                              .interest = 0};
    assert_int_equal(loop_add(loop, &changer.source, LOOP_READABLE, false), ST_OK);
    assert_int_equal(loop_add(loop, &second.source, LOOP_READABLE, false), ST_OK);
    probe_poke(&first);
    probe_poke(&second);
    loop_poll(loop, UINT64_MAX);
    unsigned calls = second.calls; /* 1 if it came before the changer, 0 if behind */
    assert_in_range(calls, 0, 1);
    assert_int_equal(second.source.interest, 0);
    loop_poll(loop, 0);
    assert_int_equal(second.calls, calls);
    loop_remove(loop, &changer.source);
    probe_done(&first);
    probe_done(&second);
    loop_free(loop);
}

static void a_hangup_is_told_to_the_interested_only(void **state)
{
    struct loop *loop = new_loop();
    struct probe probe;
    probe_init(&probe, loop);
    assert_int_equal(loop_add(loop, &probe.source, 0, false), ST_OK);
    close(probe.other_fd);
    probe.other_fd = -1;
    assert_int_equal(loop_poll(loop, 0), 0);
    assert_int_equal(loop_change(loop, &probe.source, LOOP_READABLE), ST_OK);
    assert_int_equal(loop_poll(loop, 0), 1);
    assert_int_equal(probe.events, LOOP_READABLE | LOOP_HANGUP);
    assert_int_equal(loop_change(loop, &probe.source, 0), ST_OK);
    assert_int_equal(loop_poll(loop, 0), 0);
    probe_done(&probe);
    loop_free(loop);
}

static void an_exclusive_source_can_be_changed(void **state)
{
    struct loop *loop = new_loop();
    struct probe probe;
    probe_init(&probe, loop);
    assert_int_equal(loop_add(loop, &probe.source, LOOP_READABLE, true), ST_OK);
    assert_int_equal(loop_change(loop, &probe.source, LOOP_READABLE | LOOP_WRITABLE), ST_OK);
    assert_int_equal(loop_poll(loop, 0), 1);
    assert_int_equal(loop_change(loop, &probe.source, LOOP_READABLE), ST_OK);
    assert_int_equal(loop_poll(loop, 0), 0);
    probe_poke(&probe);
    assert_int_equal(loop_poll(loop, 0), 1);
    probe_done(&probe);
    loop_free(loop);
}

static void what_the_kernel_refuses_is_told(void **state)
{
    struct loop *loop = new_loop();
    struct loop_source source = {.fd = -1, .ready = on_ready};
    assert_int_equal(loop_add(loop, &source, LOOP_READABLE, false), ST_IO);
    assert_int_equal(source.interest, 0);
    loop_remove(loop, &source);
    loop_free(loop);
}

struct alarm {
    struct loop_timer timer;
    struct loop *loop;
    unsigned fired;
    unsigned *counter; /* shared: order of firing */
    unsigned order;
    struct alarm *stop;
    bool again;
};

static void on_fire(struct loop_timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    alarm->fired++;
    if (alarm->counter)
        alarm->order = (*alarm->counter)++;
    if (alarm->stop)
        loop_timer_stop(alarm->loop, &alarm->stop->timer);
    if (alarm->again)
        loop_timer_start(alarm->loop, timer, 0);
}

static struct alarm make_alarm(struct loop *loop)
{
    return (struct alarm){.timer.fire = on_fire, .loop = loop};
}

static uint64_t fake_ns;

static uint64_t read_fake_ns(void *context)
{
    return fake_ns;
}

static int64_t read_fake_us(void *context)
{
    return (int64_t)(fake_ns / 1000);
}

static const struct clock fake_clock = {.wall_us = read_fake_us, .monotonic_ns = read_fake_ns};

static struct loop *new_simulated_loop(void)
{
    struct loop *loop;
    fake_ns = 1000;
    assert_int_equal(loop_new(&(struct loop_options){.clock = &fake_clock, .simulated = true}, &loop), ST_OK);
    return loop;
}

static void simulated_timers_follow_the_hooked_clock(void **state)
{
    struct loop *loop = new_simulated_loop();
    struct alarm alarm = make_alarm(loop);
    assert_true(loop_next_due_ns(loop) == UINT64_MAX);
    loop_timer_start(loop, &alarm.timer, 2000);
    assert_int_equal(loop_next_due_ns(loop), 2000);
    assert_int_equal(loop_poll(loop, UINT64_MAX), 0); /* does not sleep */
    fake_ns = 1999;
    assert_int_equal(loop_poll(loop, UINT64_MAX), 0);
    fake_ns = 2000;
    assert_int_equal(loop_poll(loop, UINT64_MAX), 1);
    assert_int_equal(alarm.fired, 1);
    assert_int_equal(loop_poll(loop, UINT64_MAX), 0);
    loop_timer_start(loop, &alarm.timer, 5000);
    loop_timer_start(loop, &alarm.timer, 3000); /* moves it */
    assert_int_equal(loop_next_due_ns(loop), 3000);
    loop_timer_stop(loop, &alarm.timer);
    loop_timer_stop(loop, &alarm.timer);
    fake_ns = 9000;
    assert_int_equal(loop_poll(loop, 0), 0);
    struct loop_source source = {.fd = 0, .ready = on_ready};
    assert_int_equal(loop_add(loop, &source, LOOP_READABLE, false), ST_UNSUPPORTED);
    loop_wake(loop);
    loop_free(loop);
}

static void many_timers_fire_in_order(void **state)
{
    static struct alarm alarms[TIMERS];
    struct loop *loop = new_simulated_loop();
    struct rng rng;
    unsigned counter = 0, expected = 0;
    rng_seed(&rng, 9);
    for (int i = 0; i < TIMERS; i++) {
        alarms[i] = make_alarm(loop);
        alarms[i].counter = &counter;
        loop_timer_start(loop, &alarms[i].timer, 10000 + rng_below(&rng, 5000));
    }
    for (int i = 0; i < TIMERS; i += 3)
        loop_timer_start(loop, &alarms[i].timer, 10000 + rng_below(&rng, 5000));
    for (int i = 0; i < TIMERS; i += 5)
        loop_timer_stop(loop, &alarms[i].timer);
    for (fake_ns = 10000; fake_ns <= 15000; fake_ns += 100)
        loop_poll(loop, 0);
    for (int i = 0; i < TIMERS; i++) {
        assert_int_equal(alarms[i].fired, i % 5 != 0);
        expected += alarms[i].fired;
        for (int j = 0; j < i; j++) {
            if (alarms[i].fired && alarms[j].fired && alarms[i].timer.due_ns < alarms[j].timer.due_ns)
                assert_true(alarms[i].order < alarms[j].order);
        }
    }
    assert_int_equal(counter, expected);
    loop_free(loop);
}

static void timers_may_be_changed_while_others_fire(void **state)
{
    struct loop *loop = new_simulated_loop();
    struct alarm first = make_alarm(loop), second = make_alarm(loop);
    first.stop = &second;
    second.stop = &first;
    loop_timer_start(loop, &first.timer, 2000);
    loop_timer_start(loop, &second.timer, 2001);
    fake_ns = 3000;
    assert_int_equal(loop_poll(loop, 0), 1);
    assert_int_equal(first.fired, 1);
    assert_int_equal(second.fired, 0);
    first.stop = NULL;
    first.again = true; /* due at once, again and again: once a poll */
    loop_timer_start(loop, &first.timer, 0);
    assert_int_equal(loop_poll(loop, 0), 1);
    fake_ns++;
    assert_int_equal(loop_poll(loop, 0), 1);
    assert_int_equal(first.fired, 3);
    loop_timer_stop(loop, &first.timer);
    loop_free(loop);
}

static void a_real_loop_sleeps_until_a_timer_is_due(void **state)
{
    struct loop *loop = new_loop();
    struct alarm alarm = make_alarm(loop);
    uint64_t due_ns = loop_now_ns(loop) + 3000000;
    loop_timer_start(loop, &alarm.timer, due_ns);
    while (alarm.fired == 0)
        loop_poll(loop, UINT64_MAX);
    assert_true(loop_now_ns(loop) >= due_ns);
    assert_int_equal(loop_poll(loop, 1000000), 0); /* comes back by itself */
    loop_free(loop);
}

/* ---- Pollers ---------------------------------------------------------------------------------------- */

/* A poller that does not come to rest, although looking at it finds nothing: shared memory whose other side shows something and takes
 * it back. */
struct restless {
    struct loop_poller poller;
    unsigned looks, rests;
    bool rests_now;
};

static unsigned look_in_vain(struct loop_poller *poller, uint64_t now)
{
    container_of(poller, struct restless, poller)->looks++;
    return 0;
}

static bool refuse_to_rest(struct loop_poller *poller)
{
    struct restless *restless = container_of(poller, struct restless, poller);
    restless->rests++;
    return restless->rests_now;
}

static void forget_poller(struct loop_poller *poller)
{
}

static void a_loop_does_not_sleep_while_a_poller_does_not_rest(void **state)
{
    struct loop *loop = new_loop();
    struct alarm alarm = make_alarm(loop);
    struct restless restless = {
        .poller = {.look = look_in_vain, .rest = refuse_to_rest, .free = forget_poller}};
    loop_add_poller(loop, &restless.poller);
    loop_timer_start(loop, &alarm.timer, loop_now_ns(loop) + 20 * SECOND_NS);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(loop_poll(loop, UINT64_MAX), 0);
        assert_int_equal(alarm.fired, 0); /* it has not waited for it */
        assert_int_equal(restless.rests, i);
        assert_int_equal(restless.looks, 2 * i);
    }
    restless.rests_now = true;
    loop_timer_start(loop, &alarm.timer, loop_now_ns(loop) + 1000000);
    assert_int_equal(loop_poll(loop, UINT64_MAX), 1);
    assert_int_equal(alarm.fired, 1);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readiness_is_level_style),
        cmocka_unit_test(who_tells_what_it_has_read_is_told_of_the_rest),
        cmocka_unit_test(a_removed_source_is_not_called_in_the_same_poll),
        cmocka_unit_test(a_change_of_interest_counts_in_the_same_poll),
        cmocka_unit_test(a_hangup_is_told_to_the_interested_only),
        cmocka_unit_test(an_exclusive_source_can_be_changed),
        cmocka_unit_test(what_the_kernel_refuses_is_told),
        cmocka_unit_test(simulated_timers_follow_the_hooked_clock),
        cmocka_unit_test(many_timers_fire_in_order),
        cmocka_unit_test(timers_may_be_changed_while_others_fire),
        cmocka_unit_test(a_real_loop_sleeps_until_a_timer_is_due),
        cmocka_unit_test(a_loop_does_not_sleep_while_a_poller_does_not_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
