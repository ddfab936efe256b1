/* Foreseeing: what a thread that has parsed a run does of exec/plain.h's rules Q1 to Q7, and what is read again. See foresee.h.
 *
 * Threads: said at each section. */
#include "exec/foresee.h"

#include <string.h>

#include "exec/build.h"
#include "exec/exec.h"
#include "keyspace/shared.h"

/* SETs in what is foreseen: their buckets are asked for together (exec/exec.c). */
#define FORESEE_SETS_MAX EXEC_WINDOW

/* ---- The thread that has parsed: a reader, outside of its sections ------------------------------------ */

struct foreseeing {
    const struct foresee_options *options;
    struct run *run;
    uint32_t db;
    unsigned count; /* candidates */
    struct shared_read read;
    struct entry *entries[RUN_REQUESTS]; /* likely ones; NULL: none */
    struct reply out;
    unsigned set_count;
    const struct request *sets[FORESEE_SETS_MAX];
    enum direct_outcome refusal; /* of the read at which it ended; DIRECT_ANSWERED: there is none */
};

/* As for direct reads (direct.c), and what the executor will touch of SETs. */
static void fetch_ahead(struct foreseeing *foreseeing)
{
    const struct request *requests = foreseeing->run->requests;
    const struct shared_read *read = &foreseeing->read;
    const struct table_bucket *children[RUN_REQUESTS];
    for (unsigned i = 0; i < foreseeing->count; i++) {
        shared_prefetch_bucket(read, foreseeing->db, requests[i].key_hash);
        if (!requests[i].is_plain)
            shared_prefetch_stamp(read, requests[i].key_hash);
    }
    for (unsigned i = 0; i < foreseeing->count; i++)
        foreseeing->entries[i] =
            (struct entry *)shared_prefetch_entry(read, foreseeing->db, requests[i].key_hash, &children[i]);
    for (unsigned i = 0; i < foreseeing->count; i++)
        if (unlikely(children[i] != NULL))
            foreseeing->entries[i] =
                (struct entry *)shared_prefetch_chained(children[i], requests[i].key_hash);
    for (unsigned i = 0; i < foreseeing->count; i++)
        if (foreseeing->entries[i] != NULL && !requests[i].is_plain)
            direct_prefetch_value(foreseeing->entries[i]);
}

/* False: there are too many. */
static bool foresee_set(struct foreseeing *foreseeing, unsigned index)
{
    struct request *request = &foreseeing->run->requests[index];
    if (foreseeing->set_count == FORESEE_SETS_MAX)
        return false;
    foreseeing->sets[foreseeing->set_count++] = request;
    foreseeing->run->foreseen_reads[index] =
        (struct foreseen_read){0}; /* which is looked at, and not minded */
    build_see(&foreseeing->read, foreseeing->db, foreseeing->run, request, foreseeing->entries[index]);
    foreseeing->run->foreseen.sets |= (uint32_t)1 << index;
    reply_ok(&foreseeing->out);
    return true;
}

static struct slice key_of(const struct request *request)
{
    return request->argv[request->command->first_key];
}

/* L2: what the last SET of the key before it stores; NULL: there is none. */
static struct entry *look_back(const struct foreseeing *foreseeing, const struct request *request)
{
    for (unsigned i = foreseeing->set_count; i-- > 0;) {
        const struct request *set = foreseeing->sets[i];
        if (unlikely(set->key_hash == request->key_hash) && slice_equal(key_of(set), key_of(request)))
            return set->built;
    }
    return NULL;
}

static bool foresee_read(struct foreseeing *foreseeing, struct direct *direct, unsigned index)
{
    struct foreseen *foreseen = &foreseeing->run->foreseen;
    const struct request *request = &foreseeing->run->requests[index];
    const struct command *command = request->command;
    direct->given = look_back(foreseeing, request);
    foreseen->own |= (uint32_t)(direct->given != NULL) << index;
    foreseeing->run->foreseen_reads[index].slot = stamps_slot(request->key_hash);
    foreseeing->run->foreseen_reads[index].stamp =
        shared_stamp(&foreseeing->read, request->key_hash); /* L1 */
    uint32_t hits = direct->hits, misses = direct->misses;
    bool is_right = request->argc >= command->args_min && request->argc <= command->args_max;
    foreseeing->refusal = is_right ? command->direct(direct, request) : DIRECT_NOT_PLAIN;
    if (unlikely(foreseeing->refusal != DIRECT_ANSWERED))
        return false;
    foreseeing->run->foreseen_hits |= (uint32_t)(direct->hits - hits) << index;
    foreseeing->run->foreseen_misses |= (uint32_t)(direct->misses - misses) << index;
    return true;
}

/* Inside a section. Returns how many requests have been answered. */
static unsigned foresee_some(struct foreseeing *foreseeing, struct direct *direct)
{
    struct run *run = foreseeing->run;
    fetch_ahead(foreseeing);
    for (unsigned i = 0; i < foreseeing->count; i++) {
        struct reply_mark before = reply_mark(&foreseeing->out);
        bool is_done =
            run->requests[i].is_plain ? foresee_set(foreseeing, i) : foresee_read(foreseeing, direct, i);
        if (unlikely(!is_done))
            return i;
        uint64_t size = reply_size(&foreseeing->out);
        if (unlikely(foreseeing->out.list.count > 1 || size > CHUNK_CAPACITY)) {
            reply_rollback(&foreseeing->out, before); /* L3 */
            return i;
        }
        run->foreseen_ends[i] = (uint16_t)size;
    }
    return foreseeing->count;
}

/* Takes the chunk back, with the answers to `count` requests, or none. */
static void close_answers(struct foreseeing *foreseeing, unsigned count)
{
    struct run *run = foreseeing->run;
    struct chunk_list bytes = {0};
    reply_take(&foreseeing->out, &bytes);
    run->spare = bytes.head != NULL ? bytes.head : chunk_pool_get(foreseeing->options->chunks);
    run->spare->next = NULL;
    run->spare->end = count > 0 ? run->foreseen_ends[count - 1] : 0;
    run->foreseen.count = (uint8_t)count;
    run->foreseen.sets &= (uint32_t)(((uint64_t)1 << count) - 1);
}

static bool has_reads(const struct foreseen *foreseen, unsigned count)
{
    return (unsigned)__builtin_popcount(foreseen->sets & (uint32_t)(((uint64_t)1 << count) - 1)) < count;
}

unsigned foresee(struct run *run, const struct foresee_options *options, enum direct_outcome *ret_refusal)
{
    struct exec *exec = options->exec;
    struct foreseen *foreseen = &run->foreseen;
    struct foreseeing foreseeing = {.options = options, .run = run, .count = run->candidates};
    *ret_refusal = DIRECT_ANSWERED;
    if (!shared_read_begin(&foreseeing.read, exec->keyspace, options->reader))
        return 0;
    foreseeing.db = options->word >> DIRECT_DB_SHIFT;
    struct direct direct = {.read = &foreseeing.read,
                            .db = foreseeing.db,
                            .out = &foreseeing.out,
                            .clock = exec->clock,
                            .seed = options->seed,
                            .foresees = true};
    foreseen->word = options->word;
    foreseen->generation = shared_generation(&foreseeing.read);
    foreseen->sets = foreseen->own = 0;
    run->foreseen_hits = run->foreseen_misses = 0;
    reply_init(&foreseeing.out, options->chunks, options->word & DIRECT_RESP3 ? 3 : 2);
    reply_give_chunk(&foreseeing.out, run->spare);
    unsigned count = foresee_some(&foreseeing, &direct);
    bool counts = shared_read_end(&foreseeing.read) && foreseeing.read.gate == 0;
    close_answers(&foreseeing, counts && has_reads(foreseen, count) ? count : 0);
    *ret_refusal = foreseeing.refusal;
    return foreseen->count;
}

/* ---- Executor -------------------------------------------------------------------------------------- */

/* What the foreseen read of the run would answer now, in `ret_bytes`; *ret_hits and *ret_misses: whether its key is there. */
static enum direct_outcome answer_now(struct client *client, const struct run *run, unsigned index,
                                      struct chunk_list *ret_bytes, uint32_t *ret_hits, uint32_t *ret_misses)
{
    struct exec *exec = client->exec;
    const struct request *request = &run->requests[index];
    uint32_t seed = (uint32_t)exec->tick_mark | 1;
    struct shared_read read = {.keyspace = exec->keyspace};
    struct reply out;
    reply_init(&out, exec->chunks, client->out.resp);
    struct direct direct = {.read = &read,
                            .db = client->db->number,
                            .out = &out,
                            .clock = exec->clock,
                            .seed = &seed,
                            .foresees = true};
    enum direct_outcome outcome = request->command->direct(&direct, request);
    reply_take(&out, ret_bytes);
    *ret_hits = direct.hits;
    *ret_misses = direct.misses;
    return outcome;
}

/* Where the answer is in run->spare. */
static char *place_of(struct run *run, unsigned index, size_t *ret_size)
{
    size_t begin = index > 0 ? run->foreseen_ends[index - 1] : 0;
    *ret_size = run->foreseen_ends[index] - begin;
    return run->spare->data + begin;
}

static void set_bit(uint32_t *bits, unsigned index, bool is_set)
{
    *bits = (*bits & ~((uint32_t)1 << index)) | (uint32_t)is_set << index;
}

bool foresee_again(struct client *client, struct run *run, unsigned index)
{
    struct chunk_list bytes = {0};
    uint32_t hits, misses;
    size_t size;
    char *place = place_of(run, index, &size);
    enum direct_outcome outcome = answer_now(client, run, index, &bytes, &hits, &misses);
    bool fits = outcome == DIRECT_ANSWERED && bytes.bytes == size && bytes.count == 1;
    if (fits) {
        memcpy(place, bytes.head->data + bytes.head->start, size);
        set_bit(&run->foreseen_hits, index, hits > 0);
        set_bit(&run->foreseen_misses, index, misses > 0);
    }
    chunk_list_clear(&bytes, client->exec->chunks);
    return fits;
}

bool foresee_is_true(struct client *client, struct run *run, unsigned index)
{
    struct chunk_list bytes = {0};
    uint32_t hits, misses;
    size_t size;
    const char *place = place_of(run, index, &size);
    enum direct_outcome outcome = answer_now(client, run, index, &bytes, &hits, &misses);
    bool is_true = outcome == DIRECT_ANSWERED && bytes.bytes == size &&
                   memcmp(bytes.head->data + bytes.head->start, place, size) == 0;
    chunk_list_clear(&bytes, client->exec->chunks);
    return is_true;
}
