/* Finding commands, subcommands and keys in the generated table: see command.h. */
#include "exec/command.h"

#include <string.h>

#include "exec/args.h"
#include "gen/commands.h"

/* The words of a name are its bytes in memory order; the generator computes them as little-endian numbers. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "command names are hashed as little-endian words");

#define WORDS_COVER_SIZE 16 /* a name up to this size is compared completely by its two words */

/* Turns A-Z into a-z in all eight bytes at once, other bytes stay as they are. */
static inline uint64_t fold_case(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t low = word & (0x7f * ones);
    const uint64_t from_a = low + (0x80 - 'A') * ones;
    const uint64_t after_z = low + (0x80 - 'Z' - 1) * ones;
    return word | ((from_a & ~after_z & ~word & (0x80 * ones)) >> 2);
}

static inline uint64_t load_u64(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

static inline uint64_t load_u32(const char *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* The first and the last bytes of a name that is not empty, lower case; they overlap in short names. */
static inline void command_name_words(struct slice name, uint64_t *ret_head, uint64_t *ret_tail)
{
    const char *bytes = name.data;
    const size_t size = name.size;
    uint64_t head, tail;
    if (size >= 8) {
        head = load_u64(bytes);
        tail = load_u64(bytes + size - 8);
    } else if (size >= 4) {
        head = load_u32(bytes);
        tail = load_u32(bytes + size - 4);
    } else {
        head = (uint64_t)(unsigned char)bytes[0] | (uint64_t)(unsigned char)bytes[size / 2] << 8 |
               (uint64_t)(unsigned char)bytes[size - 1] << 16;
        tail = 0;
    }
    *ret_head = fold_case(head);
    *ret_tail = fold_case(tail);
}

static inline size_t command_name_slot(uint64_t head, uint64_t tail, size_t size)
{
    const uint64_t mixed = (head ^ size) * COMMAND_HASH_MIX + tail;
    return (mixed * COMMAND_HASH_MULTIPLIER) >> (64 - COMMAND_SLOT_BITS);
}

const struct command *command_lookup(struct slice name)
{
    if (name.size == 0)
        return NULL;
    uint64_t head, tail;
    command_name_words(name, &head, &tail);
    const struct command_slot *slot = &command_slots[command_name_slot(head, tail, name.size)];
    if (slot->head != head || slot->tail != tail || slot->size != name.size || !slot->command)
        return NULL;
    if (name.size > WORDS_COVER_SIZE && !slice_equal_nocase(name, slot->command->name))
        return NULL;
    return slot->command;
}

const struct command *command_lookup_subcommand(const struct command *container, struct slice name)
{
    for (uint32_t i = 0; i < container->subcommand_count; i++) {
        if (slice_equal_nocase(name, container->subcommands[i].name))
            return &container->subcommands[i];
    }
    return NULL;
}

const struct command *command_lookup_full_name(struct slice name)
{
    const char *bar = name.size > 0 ? memchr(name.data, '|', name.size) : NULL;
    if (!bar)
        return command_lookup(name);
    const size_t before = (size_t)(bar - name.data);
    const struct command *container = command_lookup(slice_make(name.data, before));
    if (!container)
        return NULL;
    return command_lookup_subcommand(container, slice_make(bar + 1, name.size - before - 1));
}

int command_keys(const struct command *command, const struct slice *argv, uint32_t argc,
                 struct key_reference *ret_keys, int capacity)
{
    if (argc < command->args_min || argc > command->args_max)
        return -1;
    if (command->keys)
        return command->keys(argv, argc, ret_keys, capacity);
    if (command->first_key == 0)
        return 0;
    const int64_t last = command->last_key < 0 ? (int64_t)argc + command->last_key : command->last_key;
    return args_add_keys(ret_keys, capacity, 0, command->first_key, last, command->key_step,
                         command->key_access);
}
