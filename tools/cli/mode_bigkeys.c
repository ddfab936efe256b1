/* skua-cli --bigkeys and --memkeys: the biggest key of each type, and what the types amount to.
 *
 * Entry: mode_bigkeys. Threads: the main thread.
 * A batch of keys takes two round trips: their types (with --memkeys also what they occupy), then their sizes together
 * with the next SCAN.
 * I1: types[0 .. KNOWN) are those that have a command for their size; behind them come those that were met.
 * I2: `kinds` has the index in types of each key of the batch, or KIND_NONE. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "cli/mode_shared.h"
#include "cli/mode_walk.h"
#include "cli/modes.h"
#include "common/progress.h"

#define REST_EACH     100 /* calls of SCAN between two rests of -i */
#define TYPES_MAX     32  /* kinds that are told apart; all further ones are counted as the last of these */
#define TYPE_NAME_MAX 48
#define KIND_NONE     UINT8_MAX

struct type {
    char name[TYPE_NAME_MAX];
    const char *command; /* that answers with its size; NULL: there is none */
    const char *unit;
    uint64_t keys, total, biggest;
    struct buf biggest_key; /* quoted; empty while none has a size */
    bool warned;            /* the server refused `command`, and standard error was told */
};

static const struct {
    const char *name, *command, *unit;
} known[] = {
    {"string", "STRLEN", "bytes"}, {"list", "LLEN", "items"},    {"set", "SCARD", "members"},
    {"hash", "HLEN", "fields"},    {"zset", "ZCARD", "members"}, {"stream", "XLEN", "entries"},
};

struct sampler {
    struct cli *cli;
    bool memory; /* --memkeys: MEMORY USAGE instead of the type's own command */
    char samples[WALK_CURSOR_MAX];
    struct walk walk;
    struct progress progress;
    struct type types[TYPES_MAX];
    size_t type_count;
    uint8_t *kinds;
    size_t kinds_capacity;
    uint64_t all_keys; /* DBSIZE at the beginning */
    uint64_t sampled, key_bytes;
    bool failed; /* standard error has been told */
};

static void sampler_init(struct sampler *sampler, struct cli *cli)
{
    *sampler = (struct sampler){.cli = cli, .memory = !cli->options.bigkeys};
    if (cli->options.memkeys_samples >= 0)
        snprintf(sampler->samples, sizeof sampler->samples, "%" PRId64, cli->options.memkeys_samples);
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        struct type *type = &sampler->types[i];
        snprintf(type->name, sizeof type->name, "%s", known[i].name);
        type->command = known[i].command;
        type->unit = sampler->memory ? "bytes" : known[i].unit;
    }
    sampler->type_count = ARRAY_COUNT(known);
}

static void sampler_done(struct sampler *sampler)
{
    for (size_t i = 0; i < sampler->type_count; i++)
        buf_done(&sampler->types[i].biggest_key);
    mem_free(sampler->kinds);
    walk_done(&sampler->walk);
}

static bool sampler_lost(struct sampler *sampler)
{
    sampler->failed = true;
    progress_clear(&sampler->progress);
    mode_lost(sampler->cli);
    return false;
}

static double percent(const struct sampler *sampler)
{
    return sampler->all_keys == 0 ? 0 : 100.0 * (double)sampler->sampled / (double)sampler->all_keys;
}

/* ---- One batch ------------------------------------------------------------------------------------------------ */

static uint8_t kind_of(struct sampler *sampler, const struct skua_reply *reply)
{
    if (reply->type != SKUA_STATUS || strcmp(reply->string, "none") == 0)
        return KIND_NONE; /* gone since SCAN told of it */
    for (size_t i = 0; i < sampler->type_count; i++) {
        if (strncmp(sampler->types[i].name, reply->string, TYPE_NAME_MAX - 1) == 0)
            return (uint8_t)i;
    }
    if (sampler->type_count == TYPES_MAX)
        return TYPES_MAX - 1;
    struct type *type = &sampler->types[sampler->type_count];
    snprintf(type->name, sizeof type->name, "%s", reply->string);
    type->unit = sampler->memory ? "bytes" : "?";
    return (uint8_t)sampler->type_count++;
}

static bool append_key(struct sampler *sampler, const char *command, const struct skua_reply *key)
{
    const char *words[] = {command, key->string};
    const size_t lengths[] = {strlen(command), key->length};
    return skua_append_argv(sampler->cli->client, 2, words, lengths) == SKUA_OK || sampler_lost(sampler);
}

static bool append_memory(struct sampler *sampler, const struct skua_reply *key)
{
    const char *words[] = {"MEMORY", "USAGE", key->string, "SAMPLES", sampler->samples};
    const size_t lengths[] = {6, 5, key->length, 7, strlen(sampler->samples)};
    size_t count = sampler->samples[0] != '\0' ? 5 : 3;
    return skua_append_argv(sampler->cli->client, count, words, lengths) == SKUA_OK || sampler_lost(sampler);
}

/* False: it will not come, or an interrupt came first. */
static bool take_reply(struct sampler *sampler, struct skua_reply **ret_reply)
{
    enum skua_status status = cli_reply(sampler->cli, ret_reply);
    return status == SKUA_OK || (status != SKUA_AGAIN && sampler_lost(sampler));
}

static bool fetch_kinds(struct sampler *sampler, const struct skua_reply *keys, size_t count)
{
    if (count > sampler->kinds_capacity) {
        sampler->kinds = mem_realloc(sampler->kinds, count);
        sampler->kinds_capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        if (!append_key(sampler, "TYPE", &keys[i]))
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct skua_reply *reply;
        if (!take_reply(sampler, &reply))
            return false;
        sampler->kinds[i] = kind_of(sampler, reply);
        skua_reply_free(reply);
    }
    return true;
}

static bool has_size(const struct sampler *sampler, uint8_t kind)
{
    return kind != KIND_NONE && (sampler->memory || sampler->types[kind].command != NULL);
}

static bool ask_sizes(struct sampler *sampler, const struct skua_reply *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t kind = sampler->kinds[i];
        if (!has_size(sampler, kind))
            continue;
        if (!(sampler->memory ? append_memory(sampler, &keys[i])
                              : append_key(sampler, sampler->types[kind].command, &keys[i])))
            return false;
    }
    return true;
}

static void count_key(struct sampler *sampler, struct type *type, const struct skua_reply *key, uint64_t size)
{
    type->total += size;
    if (size <= type->biggest)
        return;
    type->biggest = size;
    buf_clear(&type->biggest_key);
    buf_append_quoted(&type->biggest_key, slice_make(key->string, key->length));
    progress_clear(&sampler->progress);
    printf("[%05.2f%%] Biggest %-6s found so far '%s' with %" PRIu64 " %s\n", percent(sampler), type->name,
           buf_string(&type->biggest_key), size, type->unit);
}

/* A key that has changed its type meanwhile is no reason to stop, a command that the server lacks neither: the type is
 * told once. Without MEMORY USAGE there is nothing that --memkeys could tell. */
static bool take_size(struct sampler *sampler, struct type *type, const struct skua_reply *reply,
                      uint64_t *ret_size)
{
    *ret_size = reply->type == SKUA_INTEGER && reply->integer > 0 ? (uint64_t)reply->integer : 0;
    if (reply->type != SKUA_ERROR || strncmp(reply->string, "WRONGTYPE", 9) == 0)
        return true;
    progress_clear(&sampler->progress);
    if (sampler->memory) {
        fprintf(stderr, "MEMORY USAGE: %s\n", reply->string);
        sampler->failed = true;
        return false;
    }
    if (!type->warned)
        fprintf(stderr, "Warning: sizes of type %s are not known: %s\n", type->name, reply->string);
    type->warned = true;
    return true;
}

static bool take_sizes(struct sampler *sampler, const struct skua_reply *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t kind = sampler->kinds[i];
        uint64_t size = 0;
        if (kind == KIND_NONE)
            continue;
        struct type *type = &sampler->types[kind];
        type->keys++;
        if (!has_size(sampler, kind))
            continue;
        struct skua_reply *reply;
        if (!take_reply(sampler, &reply))
            return false;
        bool valid = take_size(sampler, type, reply, &size);
        skua_reply_free(reply);
        if (!valid)
            return false;
        count_key(sampler, type, &keys[i], size);
    }
    for (size_t i = 0; i < count; i++)
        sampler->key_bytes += keys[i].length;
    sampler->sampled += count;
    progress_update(&sampler->progress, sampler->sampled);
    return true;
}

/* False: failed. An interrupt is none. */
static bool sample_all(struct sampler *sampler)
{
    struct skua_reply *batch;
    const struct skua_reply *keys;
    size_t count;
    bool going = walk_ask(&sampler->walk);
    while (going && !cli_interrupted() && walk_take(&sampler->walk, &batch, &keys, &count)) {
        going = fetch_kinds(sampler, keys, count) && ask_sizes(sampler, keys, count) &&
                walk_ask(&sampler->walk) && take_sizes(sampler, keys, count);
        skua_reply_free(batch);
    }
    return !sampler->failed && !sampler->walk.failed;
}

/* ---- Summary -------------------------------------------------------------------------------------------------- */

static void print_summary(const struct sampler *sampler)
{
    uint64_t sampled = sampler->sampled;
    fputs("\n-------- summary -------\n\n", stdout);
    if (cli_interrupted())
        printf("[%05.2f%%] ", percent(sampler));
    printf("Sampled %" PRIu64 " keys in the keyspace!\n", sampled);
    printf("Total key length in bytes is %" PRIu64 " (avg len %.2f)\n\n", sampler->key_bytes,
           sampled > 0 ? (double)sampler->key_bytes / (double)sampled : 0);
    for (size_t i = 0; i < sampler->type_count; i++) {
        const struct type *type = &sampler->types[i];
        if (type->biggest > 0)
            printf("Biggest %6s found '%.*s' has %" PRIu64 " %s\n", type->name, (int)type->biggest_key.size,
                   type->biggest_key.data, type->biggest, type->unit);
    }
    putchar('\n');
    for (size_t i = 0; i < sampler->type_count; i++) {
        const struct type *type = &sampler->types[i];
        printf("%" PRIu64 " %ss with %" PRIu64 " %s (%05.2f%% of keys, avg size %.2f)\n", type->keys,
               type->name, type->total, type->unit,
               sampled > 0 ? 100.0 * (double)type->keys / (double)sampled : 0,
               type->keys > 0 ? (double)type->total / (double)type->keys : 0);
    }
}

int mode_bigkeys(struct cli *cli)
{
    struct sampler *sampler = mem_alloc(sizeof *sampler);
    sampler_init(sampler, cli);
    bool succeeded = walk_init(&sampler->walk, cli, REST_EACH) && walk_total(cli, &sampler->all_keys);
    if (succeeded) {
        cli_catch_interrupts();
        printf("\n# Looking at every key for the biggest of each type. With -i 0.1 the server\n"
               "# rests 0.1 seconds after each %d calls of SCAN.\n\n",
               REST_EACH);
        const struct progress_options options = {.label = sampler->memory ? "memkeys" : "bigkeys",
                                                 .unit = PROGRESS_COUNT,
                                                 .noun = "keys",
                                                 .total = sampler->all_keys,
                                                 .descriptor = STDERR_FILENO,
                                                 .output = STDOUT_FILENO};
        progress_init(&sampler->progress, &options);
        succeeded = sample_all(sampler);
        progress_done(&sampler->progress);
        if (succeeded)
            print_summary(sampler);
    }
    sampler_done(sampler);
    mem_free(sampler);
    return succeeded ? 0 : 1;
}
