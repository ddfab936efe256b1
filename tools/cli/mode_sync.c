/* A server's snapshot and the stream behind it. Entry, threads, states, invariants: see mode_sync.h. */
#include "cli/mode_sync.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "cli/mode_shared.h"

#define SLICE_MS       100 /* how long nothing looks at Ctrl-C and the progress */
#define ACKNOWLEDGE_MS 1000
#define HEADER_MAX     512 /* bytes of the line that precedes a payload, or of an error */

/* ---- Bytes ----------------------------------------------------------------------------------------------------- */

static bool sync_fail(struct sync *sync, const char *reason)
{
    if (sync->progress != NULL)
        progress_clear(sync->progress);
    fflush(stdout);
    fprintf(stderr, "Error: %s\n", reason);
    return false;
}

/* Whether there is something within `timeout_ms`: at the descriptor, or where that does not tell of it. False: an
 * interrupt came first. */
static bool poll_readable(struct sync *sync, int timeout_ms, bool *ret_ready)
{
    const struct skua_client *client = sync->cli->client;
    struct pollfd watched = {.fd = skua_descriptor(client), .events = POLLIN};
    bool here = (skua_look(client) & SKUA_READ) != 0;
    bool polled = cli_poll(&watched, 1, here ? 0 : timeout_ms);
    *ret_ready = here || watched.revents != 0;
    return polled;
}

/* Waits until there is something, or for so long that nothing will come. */
static bool wait_readable(struct sync *sync)
{
    for (int waited_ms = 0; waited_ms < SYNC_SILENCE_MS; waited_ms += SLICE_MS) {
        bool ready;
        if (!poll_readable(sync, SLICE_MS, &ready))
            return sync_fail(sync, "interrupted");
        if (ready)
            return true;
        if (sync->progress != NULL)
            progress_update(sync->progress, sync->received);
    }
    return sync_fail(sync, "the server has been silent for too long");
}

/* Adds at least one byte to the buffer, which must not be full. */
static bool sync_fill(struct sync *sync)
{
    size_t size = 0, room = SYNC_BUFFER_SIZE - sync->end;
    if (cli_interrupted())
        return sync_fail(sync, "interrupted");
    if (!wait_readable(sync))
        return false;
    if (skua_take_bytes(sync->cli->client, sync->buffer + sync->end, room, &size) != SKUA_OK)
        return sync_fail(sync, cli_problem(sync->cli));
    sync->end += size;
    return true;
}

/* Moves what is left to the front. */
static void sync_compact(struct sync *sync)
{
    memmove(sync->buffer, sync->buffer + sync->begin, sync->end - sync->begin);
    sync->end -= sync->begin;
    sync->begin = 0;
}

/* The next line without its end, zero-terminated in the buffer. Empty ones are skipped: they only tell that the server
 * is still there. */
static bool sync_line(struct sync *sync, char **ret_line)
{
    for (;;) {
        char *line = sync->buffer + sync->begin;
        char *end = memchr(line, '\n', sync->end - sync->begin);
        if (end != NULL) {
            sync->begin += (size_t)(end - line) + 1;
            if (end > line && end[-1] == '\r')
                end--;
            *end = '\0';
            if (end == line)
                continue;
            *ret_line = line;
            return true;
        }
        if (sync->end - sync->begin >= HEADER_MAX)
            return sync_fail(sync, "the server sent no reply to SYNC");
        sync_compact(sync);
        if (!sync_fill(sync))
            return false;
    }
}

/* ---- Asking ---------------------------------------------------------------------------------------------------- */

/* A REPLCONF that older servers need not know: it is said, and that is all. */
static bool announce(struct sync *sync, const char *what, const char *value, bool *ret_accepted)
{
    struct skua_reply *reply;
    enum skua_status status = skua_append_command(sync->cli->client, "REPLCONF %s %s", what, value);
    if (status == SKUA_OK)
        status = cli_reply(sync->cli, &reply);
    if (status != SKUA_OK)
        return sync_fail(sync, status == SKUA_AGAIN ? "interrupted" : cli_problem(sync->cli));
    *ret_accepted = reply->type != SKUA_ERROR;
    if (!*ret_accepted)
        fprintf(stderr, "REPLCONF %s error: %s\n", what, reply->string);
    skua_reply_free(reply);
    return true;
}

/* Sends what has no reply of the usual kind. What comes meanwhile waits in the library. */
static bool send_raw(struct sync *sync, const char *request)
{
    struct skua_client *client = sync->cli->client;
    enum skua_status status = skua_append_raw(client, request, strlen(request), 0);
    if (status == SKUA_OK)
        status = skua_run(client, SKUA_WRITE);
    while (status == SKUA_OK && skua_unsent(client) > 0) {
        unsigned want = skua_want(client);
        struct pollfd watched = {.fd = skua_descriptor(client),
                                 .events = (want & SKUA_WRITE) != 0 ? POLLOUT : POLLIN};
        unsigned ready = skua_look(client) & SKUA_WRITE;
        if (!cli_poll(&watched, 1, ready != 0 ? 0 : SLICE_MS))
            return sync_fail(sync, "interrupted");
        if (watched.revents != 0)
            ready |= (want & SKUA_WRITE) != 0 ? SKUA_WRITE : SKUA_READ;
        if (ready != 0)
            status = skua_run(client, ready);
    }
    return status == SKUA_OK || sync_fail(sync, cli_problem(sync->cli));
}

/* "$1234", "$EOF:" and a mark, or an error. */
static bool read_header(struct sync *sync)
{
    char *line;
    if (!sync_line(sync, &line))
        return false;
    if (line[0] == '-') {
        fprintf(stderr, "SYNC with master failed: %s\n", line);
        return false;
    }
    sync->marked = strncmp(line, "$EOF:", 5) == 0;
    if (sync->marked) {
        if (strlen(line + 5) != SYNC_MARK_SIZE)
            return sync_fail(sync, "the mark that ends the snapshot has a wrong length");
        memcpy(sync->mark, line + 5, SYNC_MARK_SIZE);
        return true;
    }
    if (line[0] != '$' || !num_parse_u64(slice_from_string(line + 1), &sync->left))
        return sync_fail(sync, "the reply to SYNC cannot be understood");
    return true;
}

bool sync_start(struct sync *sync, struct cli *cli, enum sync_kind kind)
{
    bool accepted;
    *sync = (struct sync){.cli = cli, .buffer = mem_alloc(SYNC_BUFFER_SIZE)};
    if (!announce(sync, "capa", "eof", &accepted))
        return false;
    if (kind != SYNC_STREAM && !announce(sync, "rdb-only", "1", &accepted))
        return false;
    if (kind == SYNC_FUNCTIONS) {
        if (!announce(sync, "rdb-filter-only", "functions", &accepted))
            return false;
        if (!accepted) {
            fputs("Failed requesting functions only RDB from server, aborting\n", stderr);
            return false;
        }
    }
    return send_raw(sync, "*1\r\n$4\r\nSYNC\r\n") && read_header(sync);
}

void sync_done(struct sync *sync)
{
    mem_free(sync->buffer);
}

/* ---- Payload --------------------------------------------------------------------------------------------------- */

static void give(struct sync *sync, size_t size, const char **ret_bytes, size_t *ret_size)
{
    *ret_bytes = sync->buffer + sync->begin;
    *ret_size = size;
    sync->begin += size;
    sync->received += size;
}

static bool next_counted(struct sync *sync, const char **ret_bytes, size_t *ret_size)
{
    size_t have = sync->end - sync->begin;
    if (sync->left > 0 && have == 0) {
        sync_compact(sync);
        if (!sync_fill(sync))
            return false;
        have = sync->end;
    }
    size_t size = have < sync->left ? have : (size_t)sync->left;
    sync->left -= size;
    sync->finished = size == 0;
    give(sync, size, ret_bytes, ret_size);
    return true;
}

static bool next_marked(struct sync *sync, const char **ret_bytes, size_t *ret_size)
{
    for (;;) {
        char *from = sync->buffer + sync->begin;
        size_t have = sync->end - sync->begin;
        char *mark = memmem(from, have, sync->mark, SYNC_MARK_SIZE);
        if (mark == from) { /* and nothing is before it */
            sync->begin += SYNC_MARK_SIZE;
            sync->finished = true;
            give(sync, 0, ret_bytes, ret_size);
            return true;
        }
        size_t sure = mark != NULL             ? (size_t)(mark - from)
                      : have >= SYNC_MARK_SIZE ? have - SYNC_MARK_SIZE + 1
                                               : 0;
        if (sure > 0) {
            give(sync, sure, ret_bytes, ret_size);
            return true;
        }
        sync_compact(sync);
        if (!sync_fill(sync))
            return false;
    }
}

bool sync_next(struct sync *sync, const char **ret_bytes, size_t *ret_size)
{
    return sync->marked ? next_marked(sync, ret_bytes, ret_size) : next_counted(sync, ret_bytes, ret_size);
}

/* ---- Stream ---------------------------------------------------------------------------------------------------- */

bool sync_acknowledge(struct sync *sync)
{
    return send_raw(sync, "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$1\r\n0\r\n");
}

/* Silence is no fault here: a server to which nobody writes has nothing to tell. But an acknowledgement that it got
 * before it was done with the snapshot itself is lost, so it is repeated, as a replica does. */
static bool wait_for_stream(struct sync *sync)
{
    for (;;) {
        bool ready;
        if (!poll_readable(sync, ACKNOWLEDGE_MS, &ready))
            return sync_fail(sync, "interrupted");
        if (ready)
            break;
        if (!sync_acknowledge(sync))
            return false;
    }
    return true;
}

bool sync_stream(struct sync *sync, const char **ret_bytes, size_t *ret_size)
{
    if (sync->begin == sync->end) {
        sync_compact(sync);
        if (!wait_for_stream(sync))
            return false;
        if (!sync_fill(sync))
            return false;
    }
    *ret_bytes = sync->buffer + sync->begin;
    *ret_size = sync->end - sync->begin;
    sync->begin = sync->end;
    return true;
}
