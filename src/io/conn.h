/* A connection: the I/O thread's half of a client.
 *
 * Principal entry points: conn_new, conn_receive, conn_parse, conn_send, conn_finish, conn_end.
 * Threads: the owning io only. `client` is written and read by the executor only.
 *
 *     open ──conn_finish──> finishing ──all sent──> ended ──executor has forgotten it──> freed
 *      │ ▲                      │                     ▲
 *      │ └── conn_arrive ┐      └──error──────────────┤
 *      ├──conn_move──> moving ──────────error─────────┤
 *      └──────────────end of stream, error────────────┘
 *
 * | state     | reads | sends | stream | what ends it                                           |
 * |-----------|-------|-------|--------|--------------------------------------------------------|
 * | open      | yes   | yes   | there  | EOF, error, CLOSE_* from the executor, a move           |
 * | finishing | no    | yes   | there  | everything sent (and pinned sends over), an error, CLOSE_NOW, or no progress |
 * |           |       |       |        | for CONN_LINGER_NS                                      |
 * | moving    | no    | yes   | there  | IO_MOVED, then conn_arrive at the new io; or an error   |
 * | ended     | no    | no    | closed | IO_FORGOTTEN: the executor holds nothing of it any more |
 *
 * When the peer has ended its sending (at_end), an open connection ends with the last answer to what has arrived, or
 * when nothing has moved for CONN_LINGER_NS.
 *
 * O1  outstanding is the number of runs of this connection at the executor (or on the way to or from it).
 * O2  input, if any, holds unparsed bytes at [parsed, end); runs keep it alive by chunk->refs, the connection
 *     holds one reference of its own.
 * O3  shared.output_bytes counts what the executor has handed over and the stream has not taken. */
#ifndef SKUA_IO_CONN_H
#define SKUA_IO_CONN_H

#include "base/chunk.h"
#include "base/list.h"
#include "exec/port.h"
#include "io/internal.h"
#include "protocol/parser.h"

/* Runs of one connection at the executor; more wait unparsed, so a pipeline cannot queue up without limit. */
#define CONN_RUNS_MAX 8

/* Replies whose way out is watched at a time; a later one counts with the last, or not at all. */
#define CONN_WATCHES_MAX 4

/* reply_watch.c */
struct reply_watch {
    uint64_t executed_ticks;
    uint64_t output_end; /* conn->output_total behind the reply's last byte */
    uint64_t report;     /* of struct run */
    uint16_t command;    /* id */
    uint16_t weight;
};

enum conn_state { CONN_OPEN, CONN_FINISHING, CONN_MOVING, CONN_ENDED };

/* How long a connection that is at its end is kept while no answer comes or is taken. */
#define CONN_LINGER_NS ((int64_t)5 * 1000000000)

/* A pipeline in which writes and direct reads take turns goes to the executor and back for each of them: its replies are gathered so
 * long, and so many bytes of them, before a part of them is sent. */
#define CONN_POSTPONED_NS   250000
#define CONN_POSTPONED_SIZE 16384

struct conn {
    enum conn_state state;
    struct io *io;
    struct stream *stream;
    struct client *client; /* the executor's */
    struct conn_shared shared;

    struct parser parser;
    struct chunk *input;   /* O2 */
    uint64_t parsed;       /* offset in input->data of the request under way */
    uint64_t wanted;       /* bytes that the request under way needs in all, as far as known */
    uint32_t outstanding;  /* O1 */
    bool halted;           /* parsing waits for outstanding runs or for room in the ring */
    bool awaits_answers;   /* halted until no run is outstanding: a read is to be direct (io/direct.h) */
    bool faulty;           /* a protocol error was found: nothing more is parsed */
    bool at_end;           /* the peer has said all that it will: closed once it has its answers */
    bool lingers;          /* at_end, hung up, or finishing: counted in io->lingering */
    bool leaves;           /* has been asked to move: counted in io->leaving */
    bool send_blocked;     /* the stream takes nothing now */
    bool postponed;        /* in_unsent is in io->postponed */
    uint8_t unforeseen;    /* so many runs go without foreseeing: foresee.c */
    uint64_t postponed_ns; /* monotonic, since when; 0: nothing has been postponed since the last send */
    unsigned ready_events;

    struct io_upgrade *upgrade; /* asked for and not yet done: nothing is received meanwhile */
    struct chunk_list output;
    struct chunk_list held; /* pinned.c */
    bool head_is_pinned;    /* pinned.c */
    bool drains;            /* waits for pinned sends only: counted in io->pinning.draining */
    bool is_loopback;
    uint64_t output_total; /* bytes that the executor has handed over, ever */
    uint8_t watch_count;
    struct reply_watch watches[CONN_WATCHES_MAX];
    uint64_t received_ticks; /* since when what was received last may have been there */
    uint64_t active_ns;      /* last receive or send */

    struct list_node in_conns;
    struct list_node in_ready;
    struct list_node in_unsent;
    struct list_node in_sending;
    struct list_node in_stalled;
    struct list_node in_closing;
    struct list_node in_moving;
};

/* Descriptors that clients have: one each, and one more for each process at the other end of shared memory that is watched. */
uint64_t conn_descriptors(const struct io_group *group);

/* Decides whether an accepted stream may stay, and takes one of maxclients' places for it. A stream that may not is
 * told why and closed. The thread that accepts. */
bool conn_admit(struct io_group *group, struct stream *stream);

/* Takes over a stream that has been admitted, and tells the executor. */
void conn_new(struct io *io, struct stream *stream);

/* After the stream said that it can receive. */
void conn_receive(struct conn *conn);

/* After the stream said that its peer sends nothing more, while nothing is received: what has been sent may still be
 * executed and answered, but for ever it is not waited for. */
void conn_hang_up(struct conn *conn);

/* Goes on with bytes that are already there. */
void conn_parse(struct conn *conn);

/* Adds bytes to the output. */
void conn_queue_output(struct conn *conn, struct chunk_list *bytes);

/* Sends as much as the stream takes. */
void conn_send(struct conn *conn);

/* Puts a connection that has just been taken off io->unsent onto io->postponed when more is to be expected for it shortly; false
 * when it is to send now. */
bool conn_postpone(struct conn *conn);

/* Marks connections as unsent whose output has been postponed for long enough. */
void conn_end_postponing(struct io *io);

/* Closes after what is queued has been sent. */
void conn_finish(struct conn *conn);

/* Ends the connection: at once for the peer, at the end of the turn for the executor. */
void conn_end(struct conn *conn);

/* A run has come back. */
void conn_run_done(struct conn *conn, struct run *run);

/* Stops reading and asks the executor, at the end of the turn, for permission to move; conn_depart and
 * conn_arrive do it. */
void conn_move(struct conn *conn);
void conn_depart(struct conn *conn);
void conn_arrive(struct conn *conn, struct io *io);

/* upgrade.c: from a socket to shared memory. The first, with an upgrade of its own, when the executor has asked for it; the
 * other whenever something has been sent, a run has come back or the connection has arrived, until it is done. */
void conn_upgrade(struct conn *conn, struct io_upgrade *upgrade);
void conn_go_on_upgrading(struct conn *conn);

/* Says what the stream is to be watched for, after a change of what the connection waits for. */
void conn_update_wants(struct conn *conn);

/* Has the connection looked at when this turn's output is sent. */
void conn_mark_unsent(struct conn *conn);

/* A run has come back; requests were answered here (conn_read_direct), their output is queued, and one of `command` stands for
 * `weight` of them; output has been sent. */
void conn_watch_run(struct conn *conn, const struct run *run);
void conn_watch_direct(struct conn *conn, unsigned command, uint64_t executed_ticks, unsigned weight);
void conn_watch_sent(struct conn *conn);

/* ---- pinned.c -------------------------------------------------------------------------------------- */

struct conn_sent {
    size_t size;
    bool is_pinned;
};

/* The stream is new, or the io is. */
void conn_share_pinning(struct conn *conn);

/* One call of the transport, with the first bytes of the output, of which there are some: by copying, then at most `copy_max`, or pinned. Status as
 * stream_send's. */
enum status conn_send_some(struct conn *conn, uint64_t copy_max, struct conn_sent *ret_sent);

/* Takes what has been sent off the front of the output. */
void conn_consume(struct conn *conn, const struct conn_sent *sent);

/* Pinned sends are over. */
void conn_note_unpinned(struct conn *conn);

/* Whether sends are in flight that the connection, which is otherwise `is_at_end`, has to wait for: it drains. */
bool conn_waits_for_pins(struct conn *conn, bool is_at_end);

/* The connection ends: closes its stream, or has it dissolved. The output may lose its first chunk. */
void conn_part(struct conn *conn);

/* The executor has forgotten it. */
void conn_free(struct conn *conn);

#endif
