/* DEBUG: what tests of user-visible behaviour need to see or to force.
 *
 * Refused unless `enable-debug-command` allows it: some of it stops the server for others on purpose.
 * Threads: executor only. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "cmd/inspect.h"
#include "config/config.h"
#include "exec/sliced.h"
#include "gen/args.h"
#include "io/io.h"
#include "persist/reload.h"
#include "rdb/encode.h"
#include "repl/repl.h"
#include "types/digest.h"

/* DEBUG SLEEP takes no longer, so that a typing error does not cost a day. */
#define SLEEP_MAX_S 3600

/* DEBUG OBJECT: for which version of the format bytes are counted, and how many are made at a time. */
#define SERIALIZED_VERSION 10
#define SERIALIZED_STEP    ((size_t)64 << 10)

/* Bytes of a word that is quoted in an error. */
#define SHOWN_MAX 128

/* ---- May it be used? ------------------------------------------------------------------------------ */

static bool is_enabled(const struct call *call)
{
    switch ((enum config_enable_debug_command)call->exec->config->enable_debug_command) {
    case CONFIG_ENABLE_DEBUG_COMMAND_YES: return true;
    case CONFIG_ENABLE_DEBUG_COMMAND_LOCAL: return client_is_local(call->client);
    case CONFIG_ENABLE_DEBUG_COMMAND_NO: return false;
    }
    return false;
}

/* ---- Subcommands ---------------------------------------------------------------------------------- */

/* The executor really stands still: this is for tests of what others see of a slow command. A signal ends it. */
static void debug_sleep(struct call *call, const struct slice *argv, uint32_t argc)
{
    double seconds;
    if (!num_parse_double(argv[0], &seconds)) {
        call_not_float(call);
        return;
    }
    if (seconds > SLEEP_MAX_S) {
        reply_error(call->out, "ERR DEBUG SLEEP takes at most %d seconds", SLEEP_MAX_S);
        return;
    }
    if (seconds > 0) {
        struct timespec time = {.tv_sec = (time_t)seconds};
        time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
        nanosleep(&time, NULL);
    }
    reply_ok(call->out);
}

/* Bytes of a value in a snapshot file, behind its type. ST_NOMEM: they cannot be counted. */
static enum status serialized_size(struct call *call, const struct entry *entry, size_t *ret_size)
{
    struct rdb_encoder encoder;
    if (rdb_encode_begin(&encoder, call->exec->keyspace, entry, SERIALIZED_VERSION) != ST_OK)
        return ST_NOMEM;
    struct buf bytes = {0};
    size_t size = 0;
    enum status status;
    do {
        status = rdb_encode_step(&encoder, &bytes, SERIALIZED_STEP);
        size += bytes.size;
        buf_clear(&bytes);
    } while (status == ST_AGAIN);
    buf_done(&bytes);
    rdb_encode_done(&encoder);
    if (status == ST_OK)
        *ret_size = size;
    return status;
}

static void debug_object(struct call *call, const struct slice *argv, uint32_t argc)
{
    struct key key;
    if (!call_peek_key(call, argv[0], &key)) {
        call_no_such_key(call);
        return;
    }
    size_t size;
    if (serialized_size(call, key.entry, &size) != ST_OK) {
        call_oom(call);
        return;
    }
    char text[256];
    snprintf(text, sizeof text,
             "Value at:%p refcount:%lld encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%lld",
             (void *)key.entry, (long long)inspect_reference_count(key.entry),
             inspect_encoding_name(key.entry), size, entry_clock(key.entry),
             (long long)use_idle_seconds(&call->exec->keyspace->use, key.entry));
    reply_status(call->out, text);
}

static void debug_set_long_commands(struct call *call, const struct slice *argv, uint32_t argc)
{
    int64_t value;
    if (!num_parse_i64(argv[0], &value)) {
        call_not_integer(call);
        return;
    }
    sliced_stop(call->exec, value == 0);
    reply_ok(call->out);
}

static void debug_set_active_expire(struct call *call, const struct slice *argv, uint32_t argc)
{
    int64_t value;
    if (!num_parse_i64(argv[0], &value)) {
        call_not_integer(call);
        return;
    }
    call->exec->active_expire = value != 0;
    reply_ok(call->out);
}

/* Aborts on a contradiction. */
static void debug_check(struct call *call, const struct slice *argv, uint32_t argc)
{
    keyspace_check(call->exec->keyspace);
    reply_ok(call->out);
}

static void reply_digest(struct call *call, const struct digest *digest)
{
    char text[DIGEST_TEXT_SIZE];
    digest_format(digest, text);
    reply_status(call->out, text);
}

/* In one go, as Redis does it, some 60 ns for each key, element and byte of 64: nobody can ask for it unless
 * enable-debug-command allows to hold the executor up anyway. */
static void debug_digest(struct call *call, const struct slice *argv, uint32_t argc)
{
    struct digest digest;
    digest_keyspace(call->exec->keyspace, &digest);
    reply_digest(call, &digest);
}

/* The digest of each key's value; zeros where there is no key. */
static void debug_digest_value(struct call *call, const struct slice *argv, uint32_t argc)
{
    reply_array(call->out, argc);
    for (uint32_t i = 0; i < argc; i++) {
        struct key key;
        struct digest digest = {0};
        if (call_peek_key(call, argv[i], &key))
            digest_value(call->exec->keyspace, key.entry, &digest);
        reply_digest(call, &digest);
    }
}

static void debug_reload(struct call *call, const struct slice *argv, uint32_t argc)
{
    if (call->client->flags & CLIENT_EXECUTING) {
        reply_error(call->out, "ERR DEBUG RELOAD is not possible in a transaction");
        return;
    }
    switch (reload_begin(call->client)) {
    case ST_OK: return;
    case ST_EXISTS: reply_error(call->out, "ERR Background save already in progress"); return;
    default: call_oom(call); return;
    }
}

static bool parse_switch(struct call *call, struct slice argument, bool *ret_is_on)
{
    int64_t value;
    bool is_number = num_parse_i64(argument, &value);
    if (!is_number)
        call_not_integer(call);
    *ret_is_on = is_number && value != 0;
    return is_number;
}

static void debug_pin_loopback(struct call *call, const struct slice *argv, uint32_t argc)
{
    bool is_on;
    if (!parse_switch(call, argv[0], &is_on))
        return;
    io_group_pin_loopback(call->exec->repl->io, is_on);
    reply_ok(call->out);
}

static void debug_pause_pins(struct call *call, const struct slice *argv, uint32_t argc)
{
    bool is_on;
    if (!parse_switch(call, argv[0], &is_on))
        return;
    io_group_pause_pins(call->exec->repl->io, is_on);
    reply_ok(call->out);
}

static void debug_poison(struct call *call, const struct slice *argv, uint32_t argc)
{
    bool is_on;
    if (!parse_switch(call, argv[0], &is_on))
        return;
    arena_set_poison(is_on);
    reply_ok(call->out);
}

static void debug_help(struct call *call, const struct slice *argv, uint32_t argc);

#define ANY_ARGUMENTS UINT32_MAX

struct subcommand {
    const char *name;
    uint32_t argument_count; /* or ANY_ARGUMENTS */
    const char *arguments;   /* for DEBUG HELP */
    const char *help;
    void (*run)(struct call *call, const struct slice *argv, uint32_t argc);
};

static const struct subcommand subcommands[] = {
    {"check", 0, "", "Walk through the whole keyspace and stop the server on a contradiction.", debug_check},
    {"digest", 0, "", "Show a digest of all databases, which is the same for the same data.", debug_digest},
    {"digest-value", ANY_ARGUMENTS, " [<key> ...]", "Show a digest of the value of each key.",
     debug_digest_value},
    {"object", 1, " <key>", "Show how the value of a key is kept.", debug_object},
    {"pause-errqueue-events", 1, " <0|1>", "Hold back what the kernel tells of sends without copying.",
     debug_pause_pins},
    {"poison-log-blocks", 1, " <0|1>", "Overwrite blocks of the log when nobody needs them any more.",
     debug_poison},
    {"reload", 0, "", "Save all data, drop it, and load it from the file again.", debug_reload},
    {"set-long-commands", 1, " <0|1>", "Stop or resume commands that run in slices, after their first one.",
     debug_set_long_commands},
    {"set-active-expire", 1, " <0|1>", "Stop or resume the removal of expired keys that nobody asks for.",
     debug_set_active_expire},
    {"zerocopy-for-loopback", 1, " <0|1>", "Send without copying also to clients on this host.",
     debug_pin_loopback},
    {"sleep", 1, " <seconds>", "Hold the executor up. Fractions are allowed.", debug_sleep},
    {"help", 0, "", "Show these lines.", debug_help},
};

static void debug_help(struct call *call, const struct slice *argv, uint32_t argc)
{
    reply_array(call->out, 1 + 2 * ARRAY_COUNT(subcommands));
    reply_status(call->out, "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for (size_t i = 0; i < ARRAY_COUNT(subcommands); i++) {
        char line[160];
        size_t size = 0;
        for (const char *c = subcommands[i].name; *c; c++)
            line[size++] = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
        snprintf(line + size, sizeof line - size, "%s", subcommands[i].arguments);
        reply_status(call->out, line);
        snprintf(line, sizeof line, "    %s", subcommands[i].help);
        reply_status(call->out, line);
    }
}

/* What DEBUG of Redis can do besides: looking into structures that do not exist here, or breaking the server. */
static const char *const unsupported[] = {
    "assert",
    "change-repl-id",
    "config-rewrite-force-all",
    "crash-and-abort",
    "crash-and-recover",
    "dict-resizing",
    "drop-cluster-packet-filter",
    "error",
    "htstats",
    "htstats-key",
    "jmap",
    "leak",
    "listpack",
    "loadaof",
    "log",
    "mallctl",
    "mallctl-str",
    "oom",
    "panic",
    "pause-cron",
    "populate",
    "protocol",
    "quicklist",
    "quicklist-packed-threshold",
    "replicate",
    "replybuffer",
    "restart",
    "sdslen",
    "segfault",
    "set-disable-deny-scripts",
    "stringmatch-len",
    "structsize",
    "ziplist",
};

void cmd_debug(struct call *call, const struct args_debug *args)
{
    int shown = (int)(args->subcommand.size < SHOWN_MAX ? args->subcommand.size : SHOWN_MAX);
    if (!is_enabled(call)) {
        reply_error(call->out, "ERR DEBUG command not allowed. If the enable-debug-command option is set to "
                               "\"local\", you can run "
                               "it from a local connection, otherwise you need to set this option in the "
                               "configuration file, and "
                               "then restart the server.");
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(subcommands); i++) {
        uint32_t wanted = subcommands[i].argument_count;
        if ((wanted == ANY_ARGUMENTS || wanted == args->argument_count) &&
            slice_equal_nocase(args->subcommand, subcommands[i].name)) {
            subcommands[i].run(call, args->argument, args->argument_count);
            return;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(unsupported); i++) {
        if (slice_equal_nocase(args->subcommand, unsupported[i])) {
            reply_error(call->out, "ERR DEBUG %.*s is not supported by this server", shown,
                        args->subcommand.data);
            return;
        }
    }
    reply_error(call->out, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.",
                shown, args->subcommand.data);
}
