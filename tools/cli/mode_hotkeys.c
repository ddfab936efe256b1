/* skua-cli --hotkeys: the keys that are used most, by the counters that a server with an LFU policy keeps.
 *
 * Entry: mode_hotkeys. Threads: the main thread.
 * I1: hot[0 .. count) is sorted by counter, the greatest first; of equal ones the one that was found first. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/mode_shared.h"
#include "cli/mode_walk.h"
#include "cli/modes.h"
#include "common/progress.h"

#define REST_EACH 100 /* calls of SCAN between two rests of -i */
#define HOT_MAX   16  /* keys that are told */

struct hot {
    uint64_t counter;
    struct buf key; /* quoted */
};

struct hotkeys {
    struct cli *cli;
    struct walk walk;
    struct progress progress;
    uint64_t all_keys; /* DBSIZE at the beginning */
    uint64_t sampled;
    struct hot hot[HOT_MAX];
    size_t count;
    bool failed; /* standard error has been told */
};

static double percent(const struct hotkeys *hotkeys)
{
    return hotkeys->all_keys == 0 ? 0 : 100.0 * (double)hotkeys->sampled / (double)hotkeys->all_keys;
}

static void insert(struct hotkeys *hotkeys, const struct skua_reply *key, uint64_t counter)
{
    bool full = hotkeys->count == HOT_MAX;
    if (counter == 0 || (full && counter <= hotkeys->hot[HOT_MAX - 1].counter))
        return;
    if (full)
        buf_done(&hotkeys->hot[HOT_MAX - 1].key);
    else
        hotkeys->count++;
    size_t at = hotkeys->count - 1;
    for (; at > 0 && hotkeys->hot[at - 1].counter < counter; at--)
        hotkeys->hot[at] = hotkeys->hot[at - 1];
    struct hot *hot = &hotkeys->hot[at];
    *hot = (struct hot){.counter = counter};
    buf_append_quoted(&hot->key, slice_make(key->string, key->length));
    progress_clear(&hotkeys->progress);
    printf("[%05.2f%%] Hot key '%s' found so far with counter %" PRIu64 "\n", percent(hotkeys),
           buf_string(&hot->key), counter);
}

static bool hotkeys_lost(struct hotkeys *hotkeys)
{
    hotkeys->failed = true;
    progress_clear(&hotkeys->progress);
    mode_lost(hotkeys->cli);
    return false;
}

static bool ask_counters(struct hotkeys *hotkeys, const struct skua_reply *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *words[] = {"OBJECT", "FREQ", keys[i].string};
        const size_t lengths[] = {6, 4, keys[i].length};
        if (skua_append_argv(hotkeys->cli->client, 3, words, lengths) != SKUA_OK)
            return hotkeys_lost(hotkeys);
    }
    return true;
}

/* An error means that the server keeps no counters, or not for us: nothing could come of going on. */
static bool take_counters(struct hotkeys *hotkeys, const struct skua_reply *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct skua_reply *reply;
        enum skua_status status = cli_reply(hotkeys->cli, &reply);
        if (status == SKUA_AGAIN)
            return false;
        if (status != SKUA_OK)
            return hotkeys_lost(hotkeys);
        hotkeys->failed = reply->type == SKUA_ERROR;
        if (hotkeys->failed) {
            progress_clear(&hotkeys->progress);
            fflush(stdout);
            fprintf(stderr, "Error: %s\n", reply->string);
        } else if (reply->type == SKUA_INTEGER && reply->integer > 0) {
            insert(hotkeys, &keys[i], (uint64_t)reply->integer);
        }
        skua_reply_free(reply);
        if (hotkeys->failed)
            return false;
    }
    hotkeys->sampled += count;
    progress_update(&hotkeys->progress, hotkeys->sampled);
    return true;
}

/* False: failed. An interrupt is none. */
static bool sample_all(struct hotkeys *hotkeys)
{
    struct skua_reply *batch;
    const struct skua_reply *keys;
    size_t count;
    bool going = walk_ask(&hotkeys->walk);
    while (going && !cli_interrupted() && walk_take(&hotkeys->walk, &batch, &keys, &count)) {
        going = ask_counters(hotkeys, keys, count) && walk_ask(&hotkeys->walk) &&
                take_counters(hotkeys, keys, count);
        skua_reply_free(batch);
    }
    return !hotkeys->failed && !hotkeys->walk.failed;
}

static void print_summary(const struct hotkeys *hotkeys)
{
    fputs("\n-------- summary -------\n\n", stdout);
    if (cli_interrupted())
        printf("[%05.2f%%] ", percent(hotkeys));
    printf("Sampled %" PRIu64 " keys in the keyspace!\n", hotkeys->sampled);
    for (size_t i = 0; i < hotkeys->count; i++)
        printf("hot key found with counter: %" PRIu64 "\tkeyname: %.*s\n", hotkeys->hot[i].counter,
               (int)hotkeys->hot[i].key.size, hotkeys->hot[i].key.data);
}

int mode_hotkeys(struct cli *cli)
{
    struct hotkeys *hotkeys = mem_calloc(1, sizeof *hotkeys);
    hotkeys->cli = cli;
    bool succeeded = walk_init(&hotkeys->walk, cli, REST_EACH) && walk_total(cli, &hotkeys->all_keys);
    if (succeeded) {
        cli_catch_interrupts();
        printf("\n# Looking at every key for those that are used most. With -i 0.1 the server\n"
               "# rests 0.1 seconds after each %d calls of SCAN.\n\n",
               REST_EACH);
        const struct progress_options options = {.label = "hotkeys",
                                                 .unit = PROGRESS_COUNT,
                                                 .noun = "keys",
                                                 .total = hotkeys->all_keys,
                                                 .descriptor = STDERR_FILENO,
                                                 .output = STDOUT_FILENO};
        progress_init(&hotkeys->progress, &options);
        succeeded = sample_all(hotkeys);
        progress_done(&hotkeys->progress);
        if (succeeded)
            print_summary(hotkeys);
    }
    for (size_t i = 0; i < hotkeys->count; i++)
        buf_done(&hotkeys->hot[i].key);
    walk_done(&hotkeys->walk);
    mem_free(hotkeys);
    return succeeded ? 0 : 1;
}
