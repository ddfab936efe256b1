/* From a Unix socket to shared memory, at a client's wish (SHM OPEN): the I/O thread's half.
 *
 * Principal entry points: conn_upgrade, conn_go_on_upgrading. The exchange as the client sees it: shm/handshake.h.
 * Threads: the owning io only.
 *
 * | step | who      | does                                                                                              |
 * |------|----------|---------------------------------------------------------------------------------------------------|
 * | 1    | executor | checks the wish, answers nothing, says IO_UPGRADE, then IO_RUN_DONE of that request's run           |
 * | 2    | io       | conn_upgrade: refuses when anything stands behind the request; else receives nothing any more      |
 * | 3    | io       | conn_go_on_upgrading: when the run is back and all output has gone, makes the session, sends the    |
 * |      |          | answer with the descriptors, and has the new stream in place of the old one. Of a connection that   |
 * |      |          | is moving, the io at which it arrives                                                               |
 *
 * U1  The answer is the last that the socket carries: what the executor says before IO_UPGRADE is sent before it, what it
 *     says afterwards goes through the ring. In between only the messages of channels can come, and they go out first.
 * U2  No byte behind the request is lost: none has been received (2), and those that come later were sent before the
 *     answer, against the protocol, and count as bells. */
#include "io/conn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "config/config.h"

#define ANSWER_SIZE 256

/* From the I/O thread itself, behind all output so far. */
static void answer(struct conn *conn, const char *text, size_t size)
{
    struct chunk *chunk = chunk_pool_get(conn->io->chunks);
    struct chunk_list bytes = {0};
    memcpy(chunk->data, text, size);
    chunk->end = size;
    chunk_list_append(&bytes, chunk);
    atomic_fetch_add_explicit(&conn->shared.output_bytes, size, memory_order_relaxed);
    conn_queue_output(conn, &bytes);
}

/* The connection goes on as it is. */
static void refuse(struct conn *conn, const char *text)
{
    char line[ANSWER_SIZE];
    int size = snprintf(line, sizeof line, "-%s\r\n", text);
    mem_free(conn->upgrade);
    conn->upgrade = NULL;
    answer(conn, line, (size_t)size);
}

void conn_upgrade(struct conn *conn, struct io_upgrade *upgrade)
{
    mem_free(conn->upgrade);
    conn->upgrade = upgrade;
    if (conn->state == CONN_ENDED)
        return; /* conn_free frees it */
    bool has_more = conn->input && conn->parsed < conn->input->end;
    if ((conn->state != CONN_OPEN && conn->state != CONN_MOVING) || conn->at_end)
        refuse(conn, "ERR this connection is ending, it cannot change to shared memory");
    else if (conn->outstanding > 1 || has_more)
        refuse(conn, "ERR SHM OPEN must be the last request on its way");
    else
        conn_update_wants(
            conn); /* step 3 follows when the run comes back, or when the connection has arrived */
}

static size_t write_field(char *text, size_t at, const char *name, uint64_t value)
{
    return at + (size_t)snprintf(text + at, ANSWER_SIZE - at, "$%zu\r\n%s\r\n:%llu\r\n", strlen(name), name,
                                 (unsigned long long)value);
}

static struct slice write_terms(char text[static ANSWER_SIZE], const struct port_rings *rings,
                                const struct shm_terms *terms)
{
    size_t at = (size_t)snprintf(text, ANSWER_SIZE, rings->resp == 3 ? "%%5\r\n" : "*10\r\n");
    at = write_field(text, at, "version", SHM_VERSION);
    at = write_field(text, at, "request-ring", rings->request);
    at = write_field(text, at, "reply-ring", rings->reply);
    at = write_field(text, at, "request-control", terms->request_control);
    at = write_field(text, at, "reply-control", terms->reply_control);
    return slice_make(text, at);
}

static void adopt(struct conn *conn, struct stream *stream)
{
    struct io *io = conn->io;
    conn->stream = stream;
    conn->send_blocked = false;
    shm_stream_count_waits(stream, &conn->shared.waits);
    atomic_store_explicit(&conn->shared.transport, stream->transport->name, memory_order_relaxed);
    if (stream_attach(stream, io->loop) != ST_OK) {
        log_write(io->group->options.log, LOG_WARNING, "cannot watch a shared memory session: %s",
                  strerror(errno));
        conn_end(conn);
        return;
    }
    conn_update_wants(conn);
}

void conn_go_on_upgrading(struct conn *conn)
{
    struct io_group *group = conn->io->group;
    struct port_rings rings = conn->upgrade->rings;
    struct shm_terms terms;
    struct stream *stream;
    const char *refusal;
    char text[ANSWER_SIZE];
    if (conn->state != CONN_OPEN || conn->outstanding > 0 || conn->output.bytes > 0 ||
        stream_is_pinned(conn->stream))
        return;
    if (conn_descriptors(group) >= descriptors_for_clients()) { /* a session has one more */
        atomic_fetch_add_explicit(&group->shm.refused, 1, memory_order_relaxed);
        refuse(conn, "ERR the descriptors for shared memory sessions are used up (ulimit -n)");
        return;
    }
    const struct shm_rings sizes = {rings.request, rings.reply};
    if (shm_stream_new(&group->shm, &sizes, &stream, &terms, &refusal) != ST_OK) {
        refuse(conn, refusal);
        return;
    }
    mem_free(conn->upgrade);
    conn->upgrade = NULL;
    struct slice terms_text = write_terms(text, &rings, &terms);
    if (shm_stream_take_over(stream, conn->stream, terms_text) != ST_OK) {
        stream_close(stream);
        conn_end(conn);
        return;
    }
    io_count(&conn->shared.bytes_out, terms_text.size);
    io_count(&conn->io->counters.bytes_out, terms_text.size);
    adopt(conn, stream);
}
