/* Whether a send is worth pinning: found by measuring what both ways cost while the server runs.
 *
 * Principal entry points: send_policy_choose, send_policy_note, send_policy_note_completions.
 * Copying costs time for each byte, pinning for each page and each completion, so the answer depends on the size, on the machine and on the path. For each
 * class of sizes (powers of two) the CPU time per byte of both ways is kept, as a moving mean of samples; the cheaper one is taken,
 * and the other is tried now and then, ever more rarely while it stays the dearer one. Pure: time comes in as arguments.
 *
 *            pinned is dearer than copying
 *    pins  ---------------------------------->  copies
 *      ^                                           |
 *      +---- pinned is cheaper by a tenth ---------+
 *
 * D1  Sends below SEND_POLICY_SIZE_MIN are copies: their pinning has never been seen to pay, and trying would cost more than the send.
 * D2  A class changes its way only when each way has SEND_POLICY_SAMPLES_MIN samples.
 * D3  Trials are at most one send of SEND_POLICY_TRIAL_MIN, but for those that D2 needs at first.
 *
 * Threads: the owner's. */
#ifndef SKUA_TRANSPORT_SEND_POLICY_H
#define SKUA_TRANSPORT_SEND_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEND_POLICY_SIZE_MIN    ((uint64_t)16 << 10)
#define SEND_POLICY_START       ((uint64_t)128 << 10) /* classes from here on are pinned until it is known better */
#define SEND_POLICY_CLASSES     7                     /* 16 KB, 32 KB, … 1 MB and more */
#define SEND_POLICY_SAMPLES_MIN 8
#define SEND_POLICY_TRIAL_MIN   64
#define SEND_POLICY_TRIAL_MAX   512

enum send_way { SEND_COPY, SEND_PINNED, SEND_WAY_COUNT };

struct send_class {
    enum send_way way;
    uint32_t samples[SEND_WAY_COUNT]; /* as far as they matter */
    uint64_t costs[SEND_WAY_COUNT];   /* picoseconds per byte */
    uint32_t since_trial;             /* sends */
    uint32_t trial_every;
};

struct send_policy {
    struct send_class classes[SEND_POLICY_CLASSES];
    uint64_t completion_ps; /* what the end of one pinned send costs */
    uint64_t owed_ns;       /* of times when none was over */
    uint32_t turn;
};

struct send_choice {
    enum send_way way;
    bool is_measured; /* the caller is to take the time and call send_policy_note */
};

void send_policy_init(struct send_policy *policy);

/* For a send of `size` bytes. `size_min`: from here on sends are pinned whatever it costs; 0: what is measured decides. */
struct send_choice send_policy_choose(struct send_policy *policy, uint64_t size, uint64_t size_min);

/* A send of which `size` bytes were offered, and `sent` taken, took `ns` of the thread's CPU time. */
void send_policy_note(struct send_policy *policy, enum send_way way, uint64_t size, uint64_t sent,
                      uint64_t ns);

/* Hearing that so many pinned sends were over, maybe none, took `ns`. */
void send_policy_note_completions(struct send_policy *policy, uint64_t sends, uint64_t ns);

/* The smallest size that is sent pinned now; UINT64_MAX: none is. */
uint64_t send_policy_threshold(const struct send_policy *policy);

#endif
