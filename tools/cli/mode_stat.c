/* skua-cli --stat: a line of facts about the server each second. Entry: mode_stat. Threads: the main thread. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cli/mode_shared.h"
#include "cli/modes.h"

#define HEADER_EACH        20 /* lines */
#define INTERVAL_DEFAULT_S 1.0
#define CELL_MAX           48

/* The line of INFO that begins with "name:", without that, or an empty slice. */
static struct slice field(struct slice info, const char *name)
{
    size_t length = strlen(name);
    while (info.size > length) {
        const char *end = memchr(info.data, '\n', info.size);
        size_t line = end != NULL ? (size_t)(end - info.data) : info.size;
        if (line > length && memcmp(info.data, name, length) == 0 && info.data[length] == ':') {
            struct slice value = {info.data + length + 1, line - length - 1};
            if (value.size > 0 && value.data[value.size - 1] == '\r')
                value.size--;
            return value;
        }
        size_t skip = end != NULL ? line + 1 : info.size;
        info = slice_make(info.data + skip, info.size - skip);
    }
    return slice_make("", 0);
}

static int64_t number(struct slice info, const char *name)
{
    int64_t value;
    return num_parse_i64(field(info, name), &value) ? value : 0;
}

/* Over all databases: their lines are "db3:keys=5,expires=0,…". */
static int64_t key_count(struct slice info)
{
    int64_t sum = 0;
    for (const char *at = info.data, *end = info.data + info.size; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((line_end != NULL ? line_end : end) - at);
        const char *keys = size > 2 && memcmp(at, "db", 2) == 0 ? memmem(at, size, ":keys=", 6) : NULL;
        if (keys != NULL) {
            int64_t value;
            const char *digits = keys + 6;
            size_t length = strspn(digits, "0123456789");
            if (num_parse_i64(slice_make(digits, length), &value))
                sum += value;
        }
        at += size + 1;
    }
    return sum;
}

static void format_memory(int64_t bytes, char *text)
{
    static const char letters[] = "KMGTP";
    double amount = (double)bytes;
    int unit = -1;
    while (amount >= 1024 && letters[unit + 1] != '\0') {
        amount /= 1024;
        unit++;
    }
    if (unit < 0)
        snprintf(text, CELL_MAX, "%" PRId64 "B", bytes);
    else
        snprintf(text, CELL_MAX, "%.2f%c", amount, letters[unit]);
}

/* What keeps a child process, or the whole server, busy. */
static void format_work(struct slice info, char *text)
{
    static const struct {
        const char *name, *word;
    } works[] = {{"rdb_bgsave_in_progress", "SAVE"}, {"aof_rewrite_in_progress", "AOF"}, {"loading", "LOAD"}};
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        if (number(info, works[i].name) != 0)
            used +=
                (size_t)snprintf(text + used, CELL_MAX - used, "%s%s", used > 0 ? "+" : "", works[i].word);
    }
}

static void print_line(struct slice info, int64_t *before)
{
    char memory[CELL_MAX], work[CELL_MAX], requests[CELL_MAX];
    int64_t processed = number(info, "total_commands_processed");
    format_memory(number(info, "used_memory"), memory);
    format_work(info, work);
    snprintf(requests, sizeof requests, "%" PRId64 " (+%" PRId64 ")", processed,
             *before < 0 ? 0 : processed - *before);
    *before = processed;
    printf("%-11" PRId64 "%-9s%-8" PRId64 "%-8" PRId64 "%-20s%-12" PRId64 "%s\n", key_count(info), memory,
           number(info, "connected_clients"), number(info, "blocked_clients"), requests,
           number(info, "total_connections_received"), work);
    fflush(stdout);
}

int mode_stat(struct cli *cli)
{
    double interval_s = cli->options.interval_s > 0 ? cli->options.interval_s : INTERVAL_DEFAULT_S;
    int64_t before = -1;
    for (uint64_t lines = 0;; lines++) {
        struct skua_reply *reply = cli_call(cli, "INFO");
        if (reply == NULL)
            return 1;
        if (reply->type != SKUA_STRING && reply->type != SKUA_VERBATIM) {
            fprintf(stderr, "ERROR: %s\n",
                    reply->type == SKUA_ERROR ? reply->string : "the reply to INFO is no text");
            skua_reply_free(reply);
            return 1;
        }
        if (lines % HEADER_EACH == 0)
            puts("------- data ------ --------------------- load -------------------- - child -\n"
                 "keys       mem      clients blocked requests            connections          ");
        print_line(slice_make(reply->string, reply->length), &before);
        skua_reply_free(reply);
        mode_rest(interval_s);
    }
}
