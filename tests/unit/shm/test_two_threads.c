/* Two ends in two threads, through the smallest rings, with the processor's real memory, real sleeping and real bells: each
 * byte arrives in its place, and nobody sleeps for ever.
 *
 * Each thread sends a stream of bytes that tells from a byte's number what it is, and checks the other's. Pieces are of
 * random sizes, spins are short and of random length. SKUA_SHM_BYTES=10000000000 makes it long. What a thread waits for
 * longer than DEADLINE_MS has been lost. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "shm/end.h"

#define DEADLINE_MS 60000
#define PIECE_MAX   3000
#define SPINS_MAX   64

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLOWER 8
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SLOWER 8
#endif
#endif
#ifndef SLOWER
#define SLOWER 1
#endif

struct party {
    struct shm_control control;
    char ring[SHM_RING_MIN];
    struct shm_end end;
    int socket;
    uint64_t to_send, to_receive; /* bytes */
    /* Byte n may be sent once n - lead bytes were received: small values make each exchange a round trip. */
    uint64_t lead;
    uint64_t sent, received, sleeps, bells;
    uint64_t random;
    const char *fault; /* what went wrong; asserted by the main thread */
};

static uint64_t next_random(struct party *party)
{
    party->random ^= party->random << 13;
    party->random ^= party->random >> 7;
    party->random ^= party->random << 17;
    return party->random;
}

static char byte_of(uint64_t n)
{
    return (char)((n * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static uint64_t sendable(const struct party *party)
{
    uint64_t allowed = party->received + party->lead;
    uint64_t limit = allowed < party->to_send ? allowed : party->to_send;
    return limit - party->sent;
}

static bool receive(struct party *party)
{
    char bytes[PIECE_MAX];
    size_t size;
    enum shm_answer answer = shm_read(&party->end, bytes, 1 + next_random(party) % PIECE_MAX, &size);
    if (answer == SHM_BROKEN)
        party->fault = "the other side's words are broken";
    if (answer != SHM_DONE)
        return false;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != byte_of(party->received + i))
            party->fault = "a byte that was not sent";
    party->received += size;
    return true;
}

static bool send_some(struct party *party)
{
    char bytes[PIECE_MAX];
    size_t size = 1 + next_random(party) % PIECE_MAX, done;
    if (size > sendable(party))
        size = (size_t)sendable(party);
    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_of(party->sent + i);
    enum shm_answer answer = shm_write(&party->end, bytes, size, &done);
    if (answer == SHM_BROKEN)
        party->fault = "the other side's words are broken";
    if (answer != SHM_DONE)
        return false;
    party->sent += done;
    return true;
}

static void settle(struct party *party)
{
    if (!shm_settle(&party->end))
        return;
    party->bells++;
    if (send(party->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        party->fault = "a bell cannot be rung";
}

static void sleep_until_bell(struct party *party)
{
    struct pollfd descriptor = {party->socket, POLLIN, 0};
    char bells[64];
    party->sleeps++;
    if (poll(&descriptor, 1, DEADLINE_MS) != 1)
        party->fault = "no bell";
    else if (recv(party->socket, bells, sizeof bells, MSG_DONTWAIT) <= 0)
        party->fault = "the socket has ended";
    shm_disarm(&party->end);
}

static void wait_for_something(struct party *party)
{
    uint64_t wants = (party->received < party->to_receive ? SHM_WANT_DATA : 0) |
                     (sendable(party) > 0 ? SHM_WANT_SPACE : 0);
    for (uint64_t i = next_random(party) % SPINS_MAX; i > 0; i--)
        if (((wants & SHM_WANT_DATA) && shm_has_data(&party->end)) ||
            ((wants & SHM_WANT_SPACE) && shm_has_space(&party->end)))
            return;
    if (shm_arm(&party->end, wants))
        sleep_until_bell(party);
}

static void *run(void *context)
{
    struct party *party = context;
    while (!party->fault && (party->sent < party->to_send || party->received < party->to_receive)) {
        bool is_busy = receive(party);
        is_busy |= send_some(party);
        if (!is_busy || next_random(party) % 4 == 0) /* P1 leaves the moment to the caller */
            settle(party);
        if (!is_busy && !party->fault)
            wait_for_something(party);
    }
    settle(party);
    return NULL;
}

static uint64_t bytes_wanted(uint64_t usual)
{
    const char *wanted = getenv("SKUA_SHM_BYTES");
    return wanted ? strtoull(wanted, NULL, 10) : usual / SLOWER;
}

/* Two threads send each other so many bytes. */
static void exchange(uint64_t to_a, uint64_t to_b, uint64_t lead_a, uint64_t lead_b)
{
    struct party *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    int sockets[2];
    pthread_t threads[2];
    assert_true(a && b);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    shm_end_init(&a->end, &a->control, a->ring, SHM_RING_MIN, &b->control, b->ring, SHM_RING_MIN);
    shm_end_init(&b->end, &b->control, b->ring, SHM_RING_MIN, &a->control, a->ring, SHM_RING_MIN);
    a->socket = sockets[0], a->random = 1, a->to_send = to_b, a->to_receive = to_a, a->lead = lead_a;
    b->socket = sockets[1], b->random = 2, b->to_send = to_a, b->to_receive = to_b, b->lead = lead_b;
    assert_int_equal(pthread_create(&threads[0], NULL, run, a), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, run, b), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    print_message("%llu + %llu bytes, %llu + %llu sleeps, %llu + %llu bells\n",
                  (unsigned long long)a->received, (unsigned long long)b->received,
                  (unsigned long long)a->sleeps, (unsigned long long)b->sleeps, (unsigned long long)a->bells,
                  (unsigned long long)b->bells);
    if (a->fault || b->fault)
        fail_msg("%s; %s", a->fault ? a->fault : "fine", b->fault ? b->fault : "fine");
    assert_int_equal(a->received, to_a);
    assert_int_equal(b->received, to_b);
    /* P3: at most one bell for each time that the other has armed. */
    assert_true(a->bells <= b->end.sleeps);
    assert_true(b->bells <= a->end.sleeps);
    close(sockets[0]);
    close(sockets[1]);
    free(a);
    free(b);
}

static void a_stream_in_one_direction(void **state)
{
    (void)state;
    exchange(0, bytes_wanted(200 << 20), UINT64_MAX / 2, UINT64_MAX / 2);
}

static void streams_in_both_directions(void **state)
{
    (void)state;
    exchange(bytes_wanted(100 << 20), bytes_wanted(100 << 20), UINT64_MAX / 2, UINT64_MAX / 2);
}

static void each_byte_waits_for_its_answer(void **state)
{
    (void)state;
    uint64_t bytes = bytes_wanted(1 << 20) / 50;
    exchange(bytes, bytes, 1, 0);
}

static void a_few_bytes_are_under_way(void **state)
{
    (void)state;
    uint64_t bytes = bytes_wanted(4 << 20);
    exchange(bytes, bytes, 100, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_in_one_direction),
        cmocka_unit_test(streams_in_both_directions),
        cmocka_unit_test(each_byte_waits_for_its_answer),
        cmocka_unit_test(a_few_bytes_are_under_way),
    };
    return cmocka_run_group_tests_name("shm-two-threads", tests, NULL, NULL);
}
