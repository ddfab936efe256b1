/* skua-cli --replica: the commands that a server sends to its replicas, a line of CSV each.
 *
 * Entry: mode_replica. Threads: the main thread. The snapshot that comes first is dropped. */
#include <inttypes.h>
#include <stdio.h>

#include <skua/reply.h>

#include "cli/mode_sync.h"
#include "cli/modes.h"

/* A command is an array of strings; anything else in the stream is shown as far as it has a text. */
static void print_command(struct buf *line, const struct skua_reply *command)
{
    buf_clear(line);
    for (size_t i = 0; i < command->element_count; i++) {
        if (i > 0)
            buf_append_char(line, ',');
        buf_append_quoted(line, slice_make(command->elements[i].string, command->elements[i].length));
    }
    if (command->element_count == 0)
        buf_append_quoted(line, slice_make(command->string, command->length));
    buf_append_char(line, '\n');
    fwrite(line->data, 1, line->size, stdout);
}

/* False: the stream cannot be read on, or standard output not be written to. */
static bool print_commands(struct skua_reader *reader, struct buf *line)
{
    for (;;) {
        struct skua_reply *command;
        enum skua_status status = skua_reader_tree(reader, &command);
        if (status == SKUA_AGAIN)
            break;
        if (status != SKUA_OK) {
            fprintf(stderr, "Error: %s\n", skua_reader_error(reader));
            return false;
        }
        print_command(line, command);
        skua_reply_free(command);
    }
    return fflush(stdout) == 0;
}

static bool drop_snapshot(struct sync *sync)
{
    const char *bytes;
    size_t size;
    do {
        if (!sync_next(sync, &bytes, &size))
            return false;
    } while (size > 0);
    fprintf(stderr, "SYNC done after %" PRIu64 " bytes. Commands follow.\n", sync->received);
    return true;
}

int mode_replica(struct cli *cli)
{
    struct sync sync;
    struct buf line = {0};
    const char *bytes;
    size_t size;
    struct skua_reader *reader = skua_reader_new(NULL, NULL);
    bool going = reader != NULL && sync_start(&sync, cli, SYNC_STREAM) && drop_snapshot(&sync) &&
                 sync_acknowledge(&sync);
    while (going && sync_stream(&sync, &bytes, &size))
        going = skua_reader_feed(reader, bytes, size) == SKUA_OK && print_commands(reader, &line);
    sync_done(&sync);
    skua_reader_free(reader);
    buf_done(&line);
    return 1; /* it goes on for ever: whatever brought us here is a failure, and has been told */
}
