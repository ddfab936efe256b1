/* Pending entries that go from one consumer to another: XCLAIM and XAUTOCLAIM. Executor only. */
#include "base/num.h"
#include "cmd/stream.h"
#include "cmd/stream_group.h"
#include "exec/args.h"
#include "exec/sliced.h"
#include "gen/args.h"

#define UNSET (-1)

#define CLAIM_STEP 8 /* work of claiming an entry, next to that of an element */

/* What becomes of each entry that is claimed. */
struct claim {
    struct group_view view;
    struct stream_group *group;
    struct stream_consumer *consumer;
    int64_t now_ms; /* of the start */
    int64_t idle_min_ms;
    int64_t delivered_ms;
    int64_t deliveries; /* UNSET: one more, unless only ids are told */
    bool force;         /* entries that are not pending are claimed, too */
    bool only_ids;
    struct slice word; /* XCLAIM: the id in hand, as the client has written it */
};

static bool parse_idle_min(struct call *call, struct slice word, const char *command, struct claim *claim)
{
    if (!num_parse_i64(word, &claim->idle_min_ms)) {
        reply_error(call->out, "ERR Invalid min-idle-time argument for %s", command);
        return false;
    }
    return true;
}

/* The group and the consumer to be changed, for about so many steps. False after -OOM. */
static bool begin(struct call *call, struct slice consumer, uint64_t steps, struct claim *claim)
{
    claim->now_ms = call->exec->now_ms;
    claim->group = group_edit(call, &claim->view, steps);
    claim->view.writes_effects = true;
    claim->consumer = group_meet_consumer(call, &claim->view, claim->group, consumer);
    if (claim->consumer != NULL)
        return true;
    group_drop(call, &claim->view);
    call_oom(call);
    return false;
}

/* Whether the entry has been with its consumer for long enough. */
static bool is_idle(const struct claim *claim, const struct stream_pending *pending)
{
    return claim->idle_min_ms <= 0 || claim->now_ms - pending->delivered_ms >= claim->idle_min_ms;
}

/* Gives an entry that is in the stream to the consumer and answers with it. */
static void take(struct call *call, struct claim *claim, struct stream_pending *pending,
                 const struct log_entry *entry)
{
    pending->slot = claim->consumer->slot;
    pending->delivered_ms = claim->delivered_ms;
    if (claim->deliveries != UNSET)
        pending->deliveries = (uint64_t)claim->deliveries;
    else if (!claim->only_ids)
        pending->deliveries++;
    stream_group_deliver(call->exec->heap, claim->group, pending);
    claim->consumer->active_ms = claim->now_ms;
    claim->view.changes++;
    claim->view.consumer_is_written = true;
    group_write_claim(call, &claim->view, stream_consumer_name(claim->consumer), claim->word, pending);
    if (claim->only_ids)
        stream_reply_id(call->out, pending->id);
    else
        stream_reply_entry(call, entry);
}

/* Forgets an entry that is in the stream no longer. */
static void forget(struct call *call, struct claim *claim, const struct stream_pending *pending)
{
    const struct stream_consumer *owner = stream_group_consumer(claim->group, pending->slot);
    group_write_claim(call, &claim->view, stream_consumer_name(owner), claim->word, pending);
    stream_group_settle(call->exec->heap, claim->group, pending->id);
    claim->view.changes++;
}

/* ---- XCLAIM ------------------------------------------------------------------------------------------------ */

/* How many of the words are ids: they end where the first option begins. False: the command is to end. */
static bool count_ids(struct call *call, const struct slice *words, uint32_t count, uint32_t *ret_ids)
{
    struct stream_id id;
    for (*ret_ids = 0; *ret_ids < count && stream_id_parse(words[*ret_ids], 0, &id); ++*ret_ids)
        if (!sliced_pause(call, 1))
            return false;
    return true;
}

static bool parse_number(struct call *call, const char *option, struct slice word, int64_t *ret_value)
{
    if (num_parse_i64(word, ret_value))
        return true;
    reply_error(call->out, "ERR Invalid %s option argument for XCLAIM", option);
    return false;
}

/* One option, `words[0]`, of which `left` words are left. Returns how many words it took; 0 after an error. */
static uint32_t parse_option(struct call *call, const struct slice *words, uint32_t left, struct claim *claim,
                             struct stream_id *last_id)
{
    int64_t idle_ms;
    if (slice_equal_nocase(words[0], "force")) {
        claim->force = true;
        return 1;
    }
    if (slice_equal_nocase(words[0], "justid")) {
        claim->only_ids = true;
        return 1;
    }
    if (left > 1 && slice_equal_nocase(words[0], "idle")) {
        if (!parse_number(call, "IDLE", words[1], &idle_ms))
            return 0;
        claim->delivered_ms = (int64_t)((uint64_t)call->exec->now_ms - (uint64_t)idle_ms);
        return 2;
    }
    if (left > 1 && slice_equal_nocase(words[0], "time"))
        return parse_number(call, "TIME", words[1], &claim->delivered_ms) ? 2 : 0;
    if (left > 1 && slice_equal_nocase(words[0], "retrycount"))
        return parse_number(call, "RETRYCOUNT", words[1], &claim->deliveries) ? 2 : 0;
    if (left > 1 && slice_equal_nocase(words[0], "lastid"))
        return stream_parse_id(call, words[1], 0, last_id) ? 2 : 0;
    reply_error(call->out, "ERR Unrecognized XCLAIM option '%.*s'", ARGS_SHOWN(words[0]));
    return 0;
}

static bool parse_options(struct call *call, const struct slice *words, uint32_t count, struct claim *claim,
                          struct stream_id *last_id)
{
    claim->delivered_ms = UNSET;
    claim->deliveries = UNSET;
    for (uint32_t i = 0; i < count;) {
        uint32_t taken = parse_option(call, words + i, count - i, claim, last_id);
        if (taken == 0)
            return false;
        i += taken;
    }
    if (claim->delivered_ms < 0 || claim->delivered_ms > call->exec->now_ms)
        claim->delivered_ms = call->exec->now_ms;
    if (claim->deliveries < 0)
        claim->deliveries = UNSET;
    return true;
}

/* Claims one entry if it can be. True: it has been answered with. */
static bool claim_one(struct call *call, struct claim *claim, struct stream_id id)
{
    struct log_entry entry;
    struct stream_pending pending = {.id = id};
    bool is_pending = stream_group_find_pending(claim->group, id, &pending);
    if (!stream_find(claim->view.stream, id, &entry)) {
        if (is_pending)
            forget(call, claim, &pending);
        return false;
    }
    if (is_pending ? !is_idle(claim, &pending) : !claim->force)
        return false;
    if (!is_pending)
        pending.deliveries = 1;
    take(call, claim, &pending, &entry);
    return true;
}

void cmd_xclaim(struct call *call, const struct args_xclaim *args)
{
    struct claim claim = {.force = false};
    struct stream_id last_id = STREAM_ID_MIN, id;
    uint32_t id_count;
    if (!count_ids(call, args->claims, args->claims_count, &id_count) ||
        !group_lookup(call, args->key, args->group, true, &claim.view))
        return;
    if (claim.view.group == NULL) {
        group_missing(call, args->key, args->group);
        return;
    }
    sliced_expect(call, (uint64_t)id_count * (1 + CLAIM_STEP));
    if (!parse_idle_min(call, args->min_idle_time, "XCLAIM", &claim) ||
        !parse_options(call, args->claims + id_count, args->claims_count - id_count, &claim, &last_id) ||
        !begin(call, args->consumer, id_count, &claim))
        return;
    bool raises_last_id = stream_id_compare(last_id, claim.group->last_id) > 0;
    if (raises_last_id) {
        claim.group->last_id = last_id;
        claim.view.changes++;
    }
    struct reply_open claimed = reply_open(call->out);
    uint64_t count = 0;
    for (uint32_t i = 0; i < id_count; i++) {
        stream_id_parse(args->claims[i], 0, &id);
        if (!sliced_pause(call, CLAIM_STEP)) {
            group_drop(call, &claim.view);
            return;
        }
        claim.word = args->claims[i];
        count += claim_one(call, &claim, id);
    }
    reply_close(call->out, claimed, REPLY_ARRAY, count);
    if (raises_last_id && claim.view.effects.count == 0) /* else each of those says it */
        group_write_progress(call, &claim.view);
    group_write_consumer(call, &claim.view, args->consumer);
    group_publish(call, &claim.view);
}

/* ---- XAUTOCLAIM -------------------------------------------------------------------------------------------- */

#define COUNT_DEFAULT   100
#define COUNT_MAX       (INT64_MAX / 16) /* as Redis has it */
#define LOOKS_PER_CLAIM 10               /* entries that are looked at for each that may be claimed */

struct auto_claim {
    struct claim claim;
    struct stream_id from;
    uint64_t count_max;
};

static bool parse_auto_options(struct call *call, const struct slice *words, uint32_t count,
                               struct auto_claim *request)
{
    for (uint32_t i = 0; i < count; i++) {
        int64_t count_max;
        if (i + 1 < count && slice_equal_nocase(words[i], "count")) {
            if (!num_parse_i64(words[++i], &count_max) || count_max < 1 || count_max > COUNT_MAX) {
                reply_error(call->out, "ERR COUNT must be > 0");
                return false;
            }
            request->count_max = (uint64_t)count_max;
        } else if (slice_equal_nocase(words[i], "justid")) {
            request->claim.only_ids = true;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

/* What has been found, before it is answered: the answer begins with where to go on. */
struct auto_answer {
    struct reply claimed;
    struct reply gone;
    uint64_t claimed_count;
    uint64_t gone_count;
};

/* Claims one entry, or forgets it when it is gone. False: it has not been idle for long enough. */
static bool claim_or_forget(struct call *call, struct auto_claim *request, struct stream_pending *pending,
                            struct auto_answer *answer)
{
    struct log_entry entry;
    if (!stream_find(request->claim.view.stream, pending->id, &entry)) {
        forget(call, &request->claim, pending);
        stream_reply_id(&answer->gone, pending->id);
        answer->gone_count++;
        return true;
    }
    if (!is_idle(&request->claim, pending))
        return false;
    struct reply *out = call->out;
    call->out = &answer->claimed;
    take(call, &request->claim, pending, &entry);
    call->out = out;
    answer->claimed_count++;
    return true;
}

/* Goes through pending entries from request->from on, and leaves there where the next call is to go on: zero when all
 * have been seen. False: the command is to end. */
static bool claim_idle(struct call *call, struct auto_claim *request, struct auto_answer *answer)
{
    struct stream_pending_walk walk;
    struct stream_pending pending;
    uint64_t left = request->count_max, looks = request->count_max * LOOKS_PER_CLAIM;
    for (;;) {
        if (!sliced_pause(call, CLAIM_STEP))
            return false;
        /* What was claimed or forgotten has changed the tree: look again. */
        stream_pending_from(&walk, request->claim.group, NULL, request->from);
        if (!stream_pending_next(&walk, &pending))
            break;
        request->from = pending.id;
        if (looks-- == 0 || left == 0)
            return true;
        if (claim_or_forget(call, request, &pending, answer))
            left--;
        if (!stream_id_increment(&request->from))
            break;
    }
    request->from = STREAM_ID_MIN;
    return true;
}

/* Most entries that can be looked at. */
static uint64_t looks_max(const struct auto_claim *request)
{
    uint64_t pending = tree_rows(&request->claim.view.group->pending);
    uint64_t looks = request->count_max * LOOKS_PER_CLAIM;
    return pending < looks ? pending : looks;
}

static void reply_auto_answer(struct call *call, const struct auto_claim *request, struct auto_answer *answer)
{
    reply_array(call->out, 3);
    stream_reply_id(call->out, request->from);
    reply_array(call->out, answer->claimed_count);
    reply_move(call->out, &answer->claimed);
    reply_array(call->out, answer->gone_count);
    reply_move(call->out, &answer->gone);
}

void cmd_xautoclaim(struct call *call, const struct args_xautoclaim *args)
{
    struct auto_claim request = {
        .claim = {.delivered_ms = call->exec->now_ms, .deliveries = UNSET},
        .count_max = COUNT_DEFAULT,
    };
    struct auto_answer answer = {.claimed_count = 0};
    if (!parse_idle_min(call, args->min_idle_time, "XAUTOCLAIM", &request.claim) ||
        !stream_parse_bound(call, args->start, false, &request.from) ||
        !parse_auto_options(call, args->options, args->options_count, &request) ||
        !group_lookup(call, args->key, args->group, true, &request.claim.view))
        return;
    if (request.claim.view.group == NULL) {
        group_missing(call, args->key, args->group);
        return;
    }
    uint64_t looks = looks_max(&request);
    if (!begin(call, args->consumer, looks, &request.claim))
        return;
    sliced_expect(call, looks * CLAIM_STEP);
    reply_init(&answer.claimed, call->exec->chunks, call->out->resp);
    reply_init(&answer.gone, call->exec->chunks, call->out->resp);
    if (claim_idle(call, &request, &answer)) {
        reply_auto_answer(call, &request, &answer);
        group_write_consumer(call, &request.claim.view, args->consumer);
        group_publish(call, &request.claim.view);
    } else {
        group_drop(call, &request.claim.view);
    }
    reply_clear(&answer.claimed);
    reply_clear(&answer.gone);
}
