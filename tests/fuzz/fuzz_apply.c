/* Whatever stands in a log or comes from a primary, it is applied, refused where it stands, or waited for; what is appended to the log of
 * changes is what was applied; and the keyspace is sound afterwards. The first byte says in which pieces the rest comes. */
#include "../support/command_fixture.h"
#include "base/bug.h"
#include "exec/apply.h"
#include "fuzz.h"
#include "repl/replay.h"

#define INPUT_MAX 4096 /* longer ones are slow and show nothing new */

static unsigned asked;

static void ask(void *context)
{
    asked++;
}

static enum status feed(struct apply *apply, char *bytes, size_t size, size_t piece)
{
    enum status status = ST_OK;
    size_t at = 0, end = 0, used;
    while (status == ST_OK && end < size) {
        end = size - end < piece ? size : end + piece;
        status = apply_feed(apply, bytes + at, end - at, APPLY_NO_BUDGET, &used);
        ASSERT(used <= end - at);
        at += used;
    }
    struct apply_report report;
    apply_report(apply, &report);
    ASSERT(report.applied <= report.consumed && report.consumed <= at);
    ASSERT(status == ST_OK || (status == ST_INVALID && apply_error(apply)[0]));
    ASSERT(report.errors == 0 || apply_error(apply)[0]);
    return status;
}

static void apply_as_a_file(struct exec *exec, char *bytes, size_t size, size_t piece)
{
    struct apply_options options = {.skip_annotations = true};
    struct apply *apply = apply_new(exec, &options);
    (void)feed(apply, bytes, size, piece);
    apply_free(apply);
}

/* Z1: the log grows by what has been applied, byte for byte. */
static void replay_as_a_stream(struct exec *exec, const char *bytes, size_t size, size_t piece)
{
    uint64_t begin = propagate_offset(exec), fed = 0;
    struct replay *replay = replay_new(exec, 0, ask, NULL);
    enum status status = ST_OK;
    for (size_t at = 0; at < size && status == ST_OK; at += piece) {
        size_t some = size - at < piece ? size - at : piece;
        struct chunk *chunk = chunk_new(exec->chunks, some);
        struct chunk_list list = {0};
        memcpy(chunk->data, bytes + at, some);
        chunk->end = some;
        chunk_list_append(&list, chunk);
        fed += some;
        do {
            (void)replay_feed(replay, &list);
            status = replay_step(replay, UINT64_MAX);
        } while (status == ST_OK && list.bytes > 0);
        chunk_list_clear(&list, exec->chunks);
        ASSERT(propagate_offset(exec) - begin + replay_unapplied(replay) <= fed);
        ASSERT(replay_db(replay) < (uint32_t)exec->keyspace->db_count);
    }
    replay_free(replay);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2 || size > INPUT_MAX)
        return 0;
    size_t piece = bytes[0] < 128 ? 1 + (size_t)bytes[0] : size;
    struct fixture *fixture = fixture_new();
    struct exec *exec = fixture->exec;
    char *copy = mem_alloc(size - 1); /* a step beyond it is seen */
    memcpy(copy, bytes + 1, size - 1);
    if (bytes[0] % 2) {
        exec->is_replica = true;
        propagate_set_need(exec, PROPAGATE_BACKLOG, true);
        replay_as_a_stream(exec, copy, size - 1, piece);
    } else {
        apply_as_a_file(exec, copy, size - 1, piece);
    }
    keyspace_check(exec->keyspace);
    mem_free(copy);
    exec->is_replica = false;
    fixture_free(fixture);
    return 0;
}
