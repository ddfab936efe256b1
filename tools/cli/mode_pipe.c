/* skua-cli --pipe: mass insertion. What comes from standard input goes to the server as it is, and replies are counted.
 *
 * Entry: mode_pipe. Threads: the main thread.
 * How many replies will come is not known, because what is sent is not parsed: at the end an ECHO of random bytes is
 * added, and its reply is the last. So the library carries bytes in both directions and no requests, and the replies
 * go through a reader of our own.
 * | state   | what happens                                                   | next, by                             |
 * |---------|----------------------------------------------------------------|--------------------------------------|
 * | COPYING | input is read when all before it was sent, replies are counted | CLOSING, by read_input at its end    |
 * | CLOSING | the end mark is sent, replies are counted                      | DONE, by take_item; FAILED           |
 * | DONE    | the mark has come back                                         | (none)                               |
 * | FAILED  | the connection is lost, or no reply came for --pipe-timeout    | (none)                               |
 * I1: memory does not grow with the input nor with the replies: one buffer each, and long strings come in parts.
 * I2: input is read only while all before it has been taken by the system. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skua/reply.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "cli/mode_shared.h"
#include "cli/modes.h"
#include "common/progress.h"

#define BUFFER_SIZE ((size_t)128 << 10)
#define MARK_SIZE   20
#define MARK_HEAD                                                                                            \
    "\r\n*2\r\n$4\r\nECHO\r\n$20\r\n" /* the first line end closes an inline command that has none */
#define TAKES_MAX 8   /* buffers of replies in one turn, which is more than one turn receives */
#define SLICE_MS  100 /* how long nothing looks at Ctrl-C, the timeout, the progress */

enum pipe_state {
    PIPE_COPYING,
    PIPE_CLOSING,
    PIPE_DONE,
    PIPE_FAILED,
};

struct transfer {
    struct cli *cli;
    enum pipe_state state;
    char *input; /* owned; BUFFER_SIZE */
    struct skua_reader *reader;
    char mark[MARK_SIZE];
    size_t mark_matched; /* bytes of a string that is coming in parts and has equalled the mark so far */
    uint64_t errors, replies;
    uint64_t sent;    /* bytes of input */
    uint64_t last_ns; /* when something last came or was sent */
    bool in_error;    /* the text of an error is coming in parts */
    bool in_string;   /* a string is */
    bool in_push;     /* the items of a push are coming */
    struct progress progress;
};

static void transfer_fail(struct transfer *transfer, const char *reason)
{
    progress_clear(&transfer->progress);
    fflush(stdout);
    fprintf(stderr, "Error: %s\n", reason);
    transfer->state = PIPE_FAILED;
}

/* ---- Replies --------------------------------------------------------------------------------------------------- */

static void print_error(struct transfer *transfer, const struct skua_item *item)
{
    if (!transfer->in_error) {
        transfer->errors++;
        progress_clear(&transfer->progress);
        fflush(stdout);
    }
    fwrite(item->string, 1, item->length, stderr);
    transfer->in_error = item->left > 0;
    if (!transfer->in_error)
        fputc('\n', stderr);
}

/* Whether this string, of which `item` may be a part, was the mark. */
static bool is_mark(struct transfer *transfer, const struct skua_item *item)
{
    size_t so_far = transfer->in_string ? transfer->mark_matched : 0;
    bool begins = !transfer->in_string || so_far > 0;
    bool fits = begins && item->length <= MARK_SIZE - so_far &&
                memcmp(transfer->mark + so_far, item->string, item->length) == 0;
    transfer->mark_matched = fits ? so_far + item->length : 0;
    transfer->in_string = item->left > 0;
    return fits && item->left == 0 && transfer->mark_matched == MARK_SIZE;
}

static void take_item(struct transfer *transfer, const struct skua_item *item)
{
    if (item->depth == 0 && item->type == SKUA_PUSH)
        transfer->in_push = true;
    if (item->depth == 0 && item->type == SKUA_ERROR)
        print_error(transfer, item);
    if (item->depth == 0 && item->type == SKUA_STRING && is_mark(transfer, item) &&
        transfer->state == PIPE_CLOSING) {
        transfer->state = PIPE_DONE;
        return;
    }
    if (!item->last)
        return;
    transfer->replies += transfer->in_push ? 0 : 1; /* nobody asked for a push */
    transfer->in_push = false;
}

static void read_replies(struct transfer *transfer)
{
    char *space;
    size_t capacity, size;
    if (skua_reader_reserve(transfer->reader, BUFFER_SIZE, &space, &capacity) != SKUA_OK) {
        transfer_fail(transfer, "out of memory");
        return;
    }
    if (skua_take_bytes(transfer->cli->client, space, capacity, &size) != SKUA_OK) {
        transfer_fail(transfer, cli_problem(transfer->cli));
        return;
    }
    skua_reader_commit(transfer->reader, size);
    transfer->last_ns = mode_now_ns();
    struct skua_item item;
    enum skua_status status = SKUA_OK;
    while (transfer->state != PIPE_DONE && (status = skua_reader_next(transfer->reader, &item)) == SKUA_OK)
        take_item(transfer, &item);
    if (status != SKUA_OK && status != SKUA_AGAIN)
        transfer_fail(transfer, skua_reader_error(transfer->reader));
}

/* ---- Requests -------------------------------------------------------------------------------------------------- */

/* A connection that is lost by sending is met again by read_replies, behind what the server has said before. */
static void send_bytes(struct transfer *transfer, const void *bytes, size_t size)
{
    struct skua_client *client = transfer->cli->client;
    if (skua_append_raw(client, bytes, size, 0) == SKUA_OK)
        skua_run(client, SKUA_WRITE);
    transfer->last_ns = mode_now_ns();
}

static void close_input(struct transfer *transfer)
{
    char end[sizeof MARK_HEAD - 1 + MARK_SIZE + 2];
    memcpy(end, MARK_HEAD, sizeof MARK_HEAD - 1);
    memcpy(end + sizeof MARK_HEAD - 1, transfer->mark, MARK_SIZE);
    memcpy(end + sizeof end - 2, "\r\n", 2);
    transfer->state = PIPE_CLOSING;
    send_bytes(transfer, end, sizeof end);
    progress_clear(&transfer->progress);
    puts("All data transferred. Waiting for the last reply...");
    fflush(stdout);
}

static void read_input(struct transfer *transfer)
{
    ssize_t size = read(STDIN_FILENO, transfer->input, BUFFER_SIZE);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size < 0) {
        transfer_fail(transfer, strerror(errno));
        return;
    }
    if (size == 0) {
        close_input(transfer);
        return;
    }
    send_bytes(transfer, transfer->input, (size_t)size);
    transfer->sent += (size_t)size;
}

/* ---- Both ------------------------------------------------------------------------------------------------------ */

static void check_timeout(struct transfer *transfer)
{
    int64_t timeout_s = transfer->cli->options.pipe_timeout_s;
    bool all_sent = transfer->state == PIPE_CLOSING && skua_unsent(transfer->cli->client) == 0;
    if (!all_sent || timeout_s == 0 ||
        (double)(mode_now_ns() - transfer->last_ns) < (double)timeout_s * MODE_NS_PER_S)
        return;
    fflush(stdout);
    fprintf(stderr, "No replies for %" PRId64 " seconds: exiting.\n", timeout_s);
    transfer->errors++;
    transfer->state = PIPE_FAILED;
}

/* One turn: waits for what can go on, and goes on with it. */
static void turn(struct transfer *transfer)
{
    struct skua_client *client = transfer->cli->client;
    bool lost = skua_state_of(client) != SKUA_READY;
    bool to_read = !lost && skua_unsent(client) == 0 && transfer->state == PIPE_COPYING;
    unsigned want = skua_want(client);
    struct pollfd watched[] = {
        {.fd = skua_descriptor(client), .events = (short)(POLLIN | ((want & SKUA_WRITE) != 0 ? POLLOUT : 0))},
        {.fd = to_read ? STDIN_FILENO : -1, .events = POLLIN},
    };
    unsigned ready = skua_look(client); /* of that the descriptor knows nothing */
    if (!cli_poll(watched, 2, lost || ready != 0 ? 0 : SLICE_MS)) {
        transfer_fail(transfer, "interrupted");
        return;
    }
    ready |= (watched[0].revents & ~POLLOUT) != 0 ? SKUA_READ : 0;
    ready |= (watched[0].revents & POLLOUT) != 0 ? SKUA_WRITE : 0;
    if (!lost && ready != 0) {
        skua_run(client, ready);
        transfer->last_ns = (ready & SKUA_WRITE) != 0 ? mode_now_ns() : transfer->last_ns;
    }
    if (skua_state_of(client) != SKUA_READY)
        read_replies(transfer);
    for (unsigned i = 0; i < TAKES_MAX && transfer->state < PIPE_DONE && (skua_look(client) & SKUA_READ) != 0;
         i++)
        read_replies(transfer);
    if (watched[1].revents != 0 && transfer->state == PIPE_COPYING)
        read_input(transfer);
    if (transfer->state < PIPE_DONE)
        check_timeout(transfer);
    progress_update(&transfer->progress, transfer->sent);
}

/* Bytes to come from standard input when that is a file, or 0. */
static uint64_t input_size(void)
{
    struct stat status;
    off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
    if (fstat(STDIN_FILENO, &status) != 0 || !S_ISREG(status.st_mode) || at < 0 || at >= status.st_size)
        return 0;
    return (uint64_t)(status.st_size - at);
}

static void transfer_init(struct transfer *transfer, struct cli *cli)
{
    const struct progress_options options = {.label = "pipe",
                                             .unit = PROGRESS_BYTES,
                                             .total = input_size(),
                                             .descriptor = STDERR_FILENO,
                                             .output = STDOUT_FILENO};
    *transfer = (struct transfer){.cli = cli,
                                  .input = mem_alloc(BUFFER_SIZE),
                                  .reader = skua_reader_new(NULL, NULL),
                                  .last_ns = mode_now_ns()};
    rng_system_bytes(transfer->mark, MARK_SIZE);
    progress_init(&transfer->progress, &options);
    if (transfer->reader == NULL)
        transfer_fail(transfer, "out of memory");
    else
        skua_reader_set_parts(transfer->reader, true);
}

int mode_pipe(struct cli *cli)
{
    struct transfer transfer;
    transfer_init(&transfer, cli);
    cli_catch_interrupts();
    while (transfer.state < PIPE_DONE)
        turn(&transfer);
    progress_done(&transfer.progress);
    if (transfer.state == PIPE_DONE)
        puts("Last reply received from server.");
    printf("errors: %" PRIu64 ", replies: %" PRIu64 "\n", transfer.errors, transfer.replies);
    fflush(stdout);
    skua_reader_free(transfer.reader);
    mem_free(transfer.input);
    return transfer.errors > 0 || transfer.state == PIPE_FAILED ? 1 : 0;
}
