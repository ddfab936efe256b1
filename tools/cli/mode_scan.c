/* skua-cli --scan: all keys, one a line. Entry: mode_scan. Threads: the main thread. */
#include <stdio.h>

#include "cli/mode_walk.h"
#include "cli/modes.h"

#define REST_EACH 1 /* -i rests after each call of SCAN */

static bool print_keys(struct cli *cli, struct buf *line, const struct skua_reply *keys, size_t count)
{
    buf_clear(line);
    for (size_t i = 0; i < count; i++) {
        struct slice key = {keys[i].string, keys[i].length};
        if (cli->output == CLI_OUTPUT_PRETTY)
            buf_append_quoted(line, key);
        else
            buf_append_slice(line, key);
        buf_append_char(line, '\n');
    }
    return fwrite(line->data, 1, line->size, stdout) == line->size;
}

int mode_scan(struct cli *cli)
{
    struct walk walk;
    struct skua_reply *batch;
    const struct skua_reply *keys;
    size_t count;
    struct buf line = {0};
    bool written = true;
    if (walk_init(&walk, cli, REST_EACH) && walk_ask(&walk)) {
        while (written && walk_take(&walk, &batch, &keys, &count)) {
            if (walk_ask(&walk))
                skua_flush(cli->client); /* the server works while we print; a loss shows at the next reply */
            written = print_keys(cli, &line, keys, count);
            skua_reply_free(batch);
        }
    }
    if (!written || fflush(stdout) != 0) {
        perror("standard output");
        written = false;
    }
    bool succeeded = written && !walk.failed;
    buf_done(&line);
    walk_done(&walk);
    return succeeded ? 0 : 1;
}
