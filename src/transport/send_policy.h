/* Whether a send is worth pinning: found by measuring what both ways cost the thread while the server runs.
 *
 * Principal entry points: send_policy_choose, send_policy_mark, send_policy_note.
 * Copying costs time for each byte; pinning for each page, for each completion, and for being woken by completions, which no call shows. So what is compared is
 * all the CPU time of the thread, for a byte that it sent: in *trials*, for each class of sizes (powers of two). A trial is two blocks of sends, one each
 * way, with the same work around them; of each block the first sends are left out, while the ends of what went the other way still come.
 *
 *     sends of the class:  ... | leave out | count | leave out | count | ...
 *                                 one way            the other way       which one is first takes turns
 *
 * A trial's score is (pinned - copied) / (pinned + copied), between -1 and 1, so that a pause in the middle of one counts for one trial and no more. A class
 * remembers mean and variance of its scores, newer ones more, and changes its way only for a mean that two standard errors do not explain. What cannot be told
 * from the other work of the thread in this way is not worth a change.
 *
 * | a class              | trials                                                                                   | then                     |
 * |----------------------|------------------------------------------------------------------------------------------|--------------------------|
 * | learns               | one after the other                                                                      | SEND_POLICY_LEARNT: known |
 * | known                | ever more rarely; often again after one that speaks against the way, or a change of it     | stays, or changes its way |
 * | is surprised         | SEND_POLICY_SURPRISES in a row on the other side of the mean: the path is another one      | learns                   |
 *
 * Where sends of all sizes come among each other, trials of one class may drown in what the others cost, and what each of several classes loses adds up. So
 * beside the classes there is the *whole*: a trial of it compares all as it is with all copied, and when copying is better every class copies and learns anew.
 *
 * D1  Sends below SEND_POLICY_SIZE_MIN are copies: their pinning has never been seen to pay, and trying would cost more than the send.
 * D2  A policy has one trial at a time: it is the thread's time that is measured. One whose class is not sent any more is broken off, and begins anew
 *     with its next send; one whose pinned sends are refused is given up.
 * D3  Of what a known class sends at most one byte in SEND_POLICY_REST_MIN, and soon in SEND_POLICY_REST_MAX, is for trials; half of these at least go its way.
 *
 * Pure: time comes in as arguments. Threads: the owner's. */
#ifndef SKUA_TRANSPORT_SEND_POLICY_H
#define SKUA_TRANSPORT_SEND_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEND_POLICY_SIZE_MIN  ((uint64_t)16 << 10)
#define SEND_POLICY_START     ((uint64_t)128 << 10) /* classes from here on are pinned until it is known better */
#define SEND_POLICY_CLASSES   7                     /* 16 KB, 32 KB, … 1 MB and more */
#define SEND_POLICY_LEFT_OUT  4                     /* sends of a block */
#define SEND_POLICY_BLOCK     16                    /* those included */
#define SEND_POLICY_LEARNT    6                     /* trials */
#define SEND_POLICY_SURPRISES 4
#define SEND_POLICY_REST_MIN  12 /* bytes from one trial to the next, times those of a trial */
#define SEND_POLICY_REST_MAX  192

enum send_way { SEND_COPY, SEND_PINNED, SEND_WAY_COUNT };

struct send_class {
    enum send_way way;
    uint64_t rest_bytes;         /* to be sent before the next trial */
    uint32_t rest;               /* D3 */
    uint32_t trials;             /* since it began to learn, as far as they matter */
    uint32_t surprises;          /* in a row */
    double weight, sum, squares; /* of the scores */
};

/* D2 */
struct send_trial {
    struct send_class *class; /* one, or the whole; NULL: none */
    enum send_way first;
    uint32_t sends;                 /* of the class, chosen since it began */
    uint32_t others;                /* of other classes, since the last one of this */
    uint64_t begin_ns, begin_bytes; /* of what is counted now */
    uint64_t bytes;                 /* sent since it began, by whichever class */
    double costs[SEND_WAY_COUNT];   /* nanoseconds per byte */
};

/* Stays where it is: a trial points to its class. */
struct send_policy {
    struct send_class classes[SEND_POLICY_CLASSES];
    struct send_class whole;   /* SEND_PINNED: as its classes say */
    struct send_class *chosen; /* last; NULL: none */
    struct send_trial trial;
    bool is_copy_first; /* the next trial */
};

struct send_choice {
    enum send_way way;
    bool is_marked; /* the caller is to take the time and call send_policy_mark before it sends */
};

void send_policy_init(struct send_policy *policy);

/* For a send of `size` bytes. `size_min`: from here on sends are pinned whatever it costs; 0: what is measured decides. */
struct send_choice send_policy_choose(struct send_policy *policy, uint64_t size, uint64_t size_min);

/* The thread's CPU time now is `cpu_ns`, counted from anywhere, without what it has spun away: it would have done that whatever is sent. */
void send_policy_mark(struct send_policy *policy, uint64_t cpu_ns);

/* So many bytes have been sent after a choice. `is_refused`: they should have been pinned, and that could not be. */
void send_policy_note(struct send_policy *policy, uint64_t sent, bool is_refused);

/* The smallest size that is sent pinned now; UINT64_MAX: none is. */
uint64_t send_policy_threshold(const struct send_policy *policy);

#endif
