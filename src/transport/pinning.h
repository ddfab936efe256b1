/* What the pinned sends of all streams share: options, limits and statistics, for the process and for each thread.
 *
 * Principal entry points: pinning_host_init, pinning_may_send, pinning_sent, pinning_over, pinning_add_totals.
 * A stream sends pinned when its owner has given it a `pinning`: that of the thread it is attached to.
 * Threads: the host's fields are read and written by any thread; a pinning's are written by its thread and read by any, so the parts of a sum
 * over threads may wrap (a stream that was counted here is counted off where it is then); the sum does not.
 *
 * P1  host.in_flight is the sum of pins_in_flight over all streams, those that drain included; a send that would bring it above
 *     total_max is a copy. */
#ifndef SKUA_TRANSPORT_PINNING_H
#define SKUA_TRANSPORT_PINNING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "transport/pins.h"
#include "transport/send_policy.h"

/* How a stream sends pinned: one way for all that is in flight (socket_pinned.h, R5). */
enum pin_way {
    PIN_NOT_YET,
    PIN_MSG_ZEROCOPY,
    PIN_URING,
    PIN_NEVER, /* the kernel knows none of them */
    PIN_WAY_COUNT
};

struct pinning_host {
    const _Atomic bool *is_on;       /* option tcp-tx-zerocopy */
    const _Atomic bool *uses_uring;  /* option io-uring */
    const _Atomic int64_t *size_min; /* option tcp-zerocopy-min-write-size; 0: as measured */
    uint64_t total_max;              /* P1 */
    _Atomic uint64_t in_flight;      /* P1; bytes */
    _Atomic bool for_loopback;       /* DEBUG ZEROCOPY-FOR-LOOPBACK */
    _Atomic bool is_paused;          /* DEBUG PAUSE-ERRQUEUE-EVENTS */
    _Atomic unsigned resumed;        /* how often that has ended */
};

/* `memory_max`: bytes that the process may pin, UINT64_MAX: no limit (pinning_memory_max). */
void pinning_host_init(struct pinning_host *host, const _Atomic bool *is_on, const _Atomic bool *uses_uring,
                       const _Atomic int64_t *size_min, uint64_t memory_max);

/* What the kernel lets this process pin: RLIMIT_MEMLOCK, unless it has CAP_IPC_LOCK. */
uint64_t pinning_memory_max(void);

struct uring;

struct pinning {
    struct pinning_host *host;
    struct uring *uring; /* owner; NULL: not made, or there is none to be had */
    bool has_tried_uring;
    struct send_policy policy;           /* owner */
    _Atomic uint64_t threshold;          /* send_policy_threshold(&policy) */
    _Atomic uint64_t sends, bytes;       /* taken by the kernel */
    _Atomic uint64_t sends_over, copied; /* of them, and those that were copied after all */
    _Atomic uint64_t wrong;              /* pins N3 */
    _Atomic uint64_t truncated;          /* notifications that were cut short */
    _Atomic uint64_t refused;            /* ENOBUFS: the kernel had no memory to keep track */
    _Atomic uint64_t switched_off;       /* times that a stream copies for a while because the kernel does */
    _Atomic uint64_t dissolved;          /* connections that were reset with sends in flight */
    _Atomic uint64_t draining;           /* that are at their end and wait for completions */
    _Atomic uint64_t tracking;           /* bytes of records */
    _Atomic uint64_t streams[PIN_WAY_COUNT]; /* by their way */
};

/* From now on completions are held back, or heard again: those that were held back are, as soon as each thread looks (io_settle_pins). Any thread. */
void pinning_pause(struct pinning_host *host, bool is_paused);

void pinning_init(struct pinning *pinning, struct pinning_host *host);

/* The owner's thread is ending, or its loop: nothing is in flight. Pinned sends may begin anew afterwards. */
void pinning_end(struct pinning *pinning);

/* Whether `size` bytes more may be in flight, as far as the process is concerned. */
bool pinning_may_send(const struct pinning *pinning, uint64_t size);

/* The kernel has taken a send of `size` bytes; returns its number. */
uint64_t pinning_sent(struct pinning *pinning, struct pins *pins, uint64_t size);

/* It has told that sends `first` to `last` are over. Returns how many bytes are free now that were not. */
uint64_t pinning_over(struct pinning *pinning, struct pins *pins, uint32_t first, uint32_t last, bool copied);

/* Of one thread, or of several. */
struct pinning_totals {
    uint64_t sends, bytes, sends_over, copied, wrong, truncated, refused, switched_off, dissolved;
    uint64_t draining, tracking, in_flight;
    uint64_t threshold; /* UINT64_MAX: nothing is sent pinned */
    uint64_t streams[PIN_WAY_COUNT];
};

/* Begins with what the host says; then each thread is added. Any thread. */
void pinning_begin_totals(const struct pinning_host *host, struct pinning_totals *ret_totals);
void pinning_add_totals(const struct pinning *pinning, struct pinning_totals *totals);

/* One writer: a plain addition that other threads may read. */
static inline void pinning_count(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

#endif
