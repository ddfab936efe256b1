/* Blocks built ahead, see build.h. Threads: as said there. */
#include "exec/build.h"

#include "base/bug.h"
#include "base/copy.h"
#include "keyspace/entry.h"
#include "keyspace/shared.h"

#define ENTRY_HEAD_MAX 24 /* header, time to live, size of a long key or an integer */

_Static_assert(ENTRY_HEAD_MAX + UINT8_MAX + ENTRY_INLINE_MAX <= UINT16_MAX,
               "a seen block's size fits its field");

/* Whether the words are those of a command that gives the key a time to live: SETEX's stands before the value, SET's behind
 * it. A wrong guess costs a block that is not used. */
static bool has_time(const struct command *command, const struct slice *argv, uint32_t argc)
{
    uint32_t value = command->value_arg;
    if (value > (uint32_t)command->first_key + 1)
        return true;
    if (likely(argc != value + 3) || argv[value + 1].size != 2)
        return false;
    char first = argv[value + 1].data[0] | 0x20, second = argv[value + 1].data[1] | 0x20;
    return (first == 'e' || first == 'p') && second == 'x';
}

/* Returns whether the request is whole. It is not asked for that: the compiler would read several of the fields that have just been
 * written at once, which the processor cannot do before all stores up to these are out, those of the value, which goes to memory that is in no
 * cache, among them. It was the greatest part of what building a block cost. */
static bool make_plain(struct request *request, struct slice key)
{
    bool is_short = key.size > 0 && key.size <= REQUEST_SHORT_KEY;
    request->is_plain = true;
    request->built_bytes = (uint16_t)heap_block_size(entry_block_size(request->built));
    request->short_key_size = is_short ? (uint8_t)key.size : 0;
    if (likely(is_short))
        copy_short(request->short_key, key.data, key.size);
    return is_short;
}

void build_value(struct heap *heap, struct run *run, struct slice *argv)
{
    struct request *request = &run->requests[run->count - 1];
    const struct command *command = request->command;
    if (command == NULL || command->value_arg == 0 || request->argc <= command->value_arg)
        return;
    struct slice *key = &argv[command->first_key];
    struct slice value = argv[command->value_arg];
    if (key->size > HEAP_BLOCK_MAX || value.size > HEAP_BLOCK_MAX ||
        ENTRY_HEAD_MAX + key->size + value.size > HEAP_BLOCK_MAX)
        return;
    struct entry_options options = {
        .expire_ms = has_time(command, argv, request->argc) ? 0 : ENTRY_NO_EXPIRE,
        .clock = run->built_clock,
    };
    struct entry *entry = entry_new_string(heap, *key, value, &options);
    if (unlikely(entry == NULL))
        return;
    request->built = entry;
    run->built_count++;
    if (command->overwrites && request->argc == command->value_arg + 1u)
        run->whole_count += make_plain(request, *key);
    *key = entry_key(entry);
}

void build_note_seen(struct run *run, struct request *request, struct entry *entry, uint64_t epoch)
{
    if (entry_encoding(entry) > ENTRY_INLINE ||
        entry_flags(entry) & (ENTRY_HAS_EXPIRE | ENTRY_TIMED_FIELDS | ENTRY_LONG_KEY))
        return;
    run->whole_count += !request_is_whole(request);
    request->short_key_size = 0;
    request->seen = entry;
    request->seen_size = (uint16_t)entry_block_size(entry);
    if (run->seen_epoch == 0)
        run->seen_epoch = epoch;
}

void build_see(const struct shared_read *read, uint32_t db, struct run *run, struct request *request,
               struct entry *likely_entry)
{
    struct entry *entry = likely_entry;
    struct slice name = request->argv[request->command->first_key];
    if (unlikely(entry == NULL || !entry_key_equal(entry, &name)) &&
        shared_find(read, db, name, request->key_hash, &entry) != SHARED_FOUND)
        return;
    build_note_seen(run, request, entry, shared_read_epoch(read));
}

void build_release(struct heap *heap, struct run *run)
{
    for (uint32_t i = 0; i < run->count && run->built_count > 0; i++) {
        struct request *request = &run->requests[i];
        if (request->is_faulty || request->built == NULL)
            continue;
        heap_adopt(heap, heap_block_size(entry_block_size(request->built)));
        entry_free(heap, request->built);
        request->built = NULL;
        run->built_count--;
    }
    ASSERT(run->built_count == 0);
}
