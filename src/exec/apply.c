/* Executes requests that stand in bytes. Contract in apply.h. Threads: executor. */
#include "exec/apply.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/role.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/dispatch.h"
#include "exec/error_stats.h"
#include "exec/exec.h"
#include "exec/pause.h"
#include "exec/permit.h"
#include "exec/transaction.h"
#include "protocol/parser.h"

#define UNKNOWN        "ERR unknown command, or one that has no place here"
#define ERROR_TEXT_MAX 256
#define ANNOTATION_MAX 1024 /* longest line that begins with '#' */
#define ARGUMENTS_KEEP 1024 /* memory for more is given back after the request */

/* A request may be as long as whoever wrote it liked: its bytes are there already. */
static const struct parser_limits limits = {
    .bulk_max = (int64_t)1 << 40, .multibulk_max = INT32_MAX, .authenticated = true};

struct apply {
    struct exec *exec;
    struct apply_options options;
    struct apply_report report;
    struct parser parser;
    struct slice *argv;
    uint32_t argv_capacity;
    struct port port;
    struct client client;
    struct conn_shared shared;
    char error[ERROR_TEXT_MAX];
    char fault[ERROR_TEXT_MAX];
};

/* ---- The client's end that nobody is at ----------------------------------------------------------- */

static void drop_output(struct port *port, struct conn *conn, struct chunk_list *bytes)
{
    chunk_list_clear(bytes, container_of(port, struct apply, port)->exec->chunks);
}

static void drop_run(struct port *port, struct run *run)
{
}

static void drop_close(struct port *port, struct conn *conn, enum close_how how)
{
}

static void drop_conn(struct port *port, struct conn *conn)
{
}

static void client_init(struct apply *apply)
{
    struct exec *exec = apply->exec;
    struct client *client = &apply->client;
    apply->port = (struct port){
        .output = drop_output, .run_done = drop_run, .close = drop_close, .forgotten = drop_conn};
    apply->shared.descriptor = -1;
    atomic_store_explicit(&apply->shared.transport, "none", memory_order_relaxed);
    *client = (struct client){.exec = exec,
                              .flags = CLIENT_PRIMARY | apply->options.client_flags,
                              .authenticated = true,
                              .db = &exec->keyspace->dbs[apply->options.db],
                              .port = &apply->port,
                              .shared = &apply->shared,
                              .created_ms = exec->now_ms};
    reply_init(&client->out, exec->chunks, 2);
    list_init(&client->watched);
}

struct apply *apply_new(struct exec *exec, const struct apply_options *options)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    ASSERT(options->db < (uint32_t)exec->keyspace->db_count);
    struct apply *apply = mem_calloc(1, sizeof *apply);
    apply->exec = exec;
    apply->options = *options;
    parser_init(&apply->parser);
    client_init(apply);
    return apply;
}

static void leave_output_list(struct client *client)
{
    if (list_is_listed(&client->in_dirty))
        list_remove(&client->in_dirty);
}

void apply_free(struct apply *apply)
{
    if (apply == NULL)
        return;
    struct client *client = &apply->client;
    client_forget_block(client);
    transaction_discard(client);
    leave_output_list(client);
    reply_clear(&client->out);
    permit_client_gone(client); /* an AUTH or a RESET may have been applied */
    parser_done(&apply->parser);
    mem_free(apply->argv);
    mem_free(apply);
}

/* ---- Errors --------------------------------------------------------------------------------------- */

static void note_error(struct apply *apply, const char *text, int size, struct slice name)
{
    if (apply->report.errors++ > 0)
        return;
    apply->report.error_offset = apply->report.consumed;
    snprintf(apply->error, sizeof apply->error, "%.*s (in '%.*s')", size, text, call_shown_size(name),
             name.data);
}

/* What the request was answered with: a line that begins behind `mark`, if it is an error; else the code of the last one. */
static void note_error_reply(struct apply *apply, struct reply_mark mark, struct slice name)
{
    const struct reply *out = &apply->client.out;
    const struct chunk *chunk = mark.chunk;
    const char *text = chunk->data + mark.end;
    const char *end = out->list.tail == chunk && out->cursor ? out->cursor : chunk->data + chunk->end;
    const char *line_end = end > text ? memchr(text, '\r', (size_t)(end - text)) : NULL;
    if (line_end && *text == '-')
        note_error(apply, text + 1, (int)(line_end - text - 1), name);
    else
        note_error(apply, out->error_code, (int)strnlen(out->error_code, sizeof out->error_code), name);
}

static void note_fault(struct apply *apply, const char *text, struct slice name)
{
    if (apply->fault[0])
        return;
    apply->report.fault_offset = apply->report.consumed;
    if (name.size > 0)
        snprintf(apply->fault, sizeof apply->fault, "%s (in '%.*s')", text, call_shown_size(name), name.data);
    else
        snprintf(apply->fault, sizeof apply->fault, "%s", text);
}

static enum status malformed(struct apply *apply, const char *text)
{
    note_fault(apply, text, (struct slice){0});
    if (apply->error[0] == 0) {
        apply->report.error_offset = apply->report.consumed;
        snprintf(apply->error, sizeof apply->error, "%s", text);
    }
    return ST_INVALID;
}

/* ---- One request ---------------------------------------------------------------------------------- */

/* A3 */
static bool may_be_applied(const struct command *command)
{
    static const char *const names[] = {"select", "multi", "exec", "discard", "ping", "echo"};
    if (command->flags & (CMD_WRITE | CMD_MAY_REPLICATE | CMD_READONLY))
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(command->full_name, names[i]) == 0)
            return true;
    return command->flags & CMD_CONTAINER;
}

static const struct command *lookup(const struct slice *argv, uint32_t argc)
{
    const struct command *command = command_lookup(argv[0]);
    if (command && command->subcommand_count && argc > 1) {
        const struct command *subcommand = command_lookup_subcommand(command, argv[1]);
        if (subcommand)
            return subcommand;
    }
    return command;
}

/* The parser takes what is behind a string for its line end. In a file that a crash has torn it may be something else: zeros. */
static bool has_line_ends(const struct slice *argv, uint32_t argc)
{
    for (uint32_t i = 0; i < argc; i++)
        if (memcmp(argv[i].data + argv[i].size, "\r\n", 2) != 0)
            return false;
    return true;
}

/* The arguments of the request that the parser has found. False: memory for them was refused. */
static bool take_arguments(struct apply *apply, const char *bytes)
{
    const struct parser *parser = &apply->parser;
    if (parser->arg_count > apply->argv_capacity) {
        uint32_t capacity = parser->arg_count < 16 ? 16 : parser->arg_count;
        struct slice *argv = mem_try_realloc(apply->argv, capacity * sizeof *argv);
        if (!argv)
            return false;
        apply->argv = argv;
        apply->argv_capacity = capacity;
    }
    for (uint32_t i = 0; i < parser->arg_count; i++)
        apply->argv[i] = slice_make(bytes + parser->args[i].offset, parser->args[i].size);
    return true;
}

static void drop_arguments(struct apply *apply)
{
    if (apply->argv_capacity <= ARGUMENTS_KEEP)
        return;
    mem_free(apply->argv);
    apply->argv = NULL;
    apply->argv_capacity = 0;
}

/* False: it must wait for a key that is held, and has had no effect (A4). */
static bool execute(struct apply *apply, uint32_t argc)
{
    struct exec *exec = apply->exec;
    struct client *client = &apply->client;
    struct request request = {.command = lookup(apply->argv, argc), .argv = apply->argv, .argc = argc};
    if (!request.command || !may_be_applied(request.command)) {
        apply->report.unknown++;
        note_error(apply, UNKNOWN, sizeof UNKNOWN - 1, apply->argv[0]);
        note_fault(apply, UNKNOWN, apply->argv[0]);
        if (client->flags & CLIENT_IN_TRANSACTION)
            client->flags |= CLIENT_DIRTY_EXEC;
        return true;
    }
    if (request.command->first_key > 0 && argc > (uint32_t)request.command->first_key) {
        request.has_key = true;
        request.key_hash = keyspace_hash(exec->keyspace, apply->argv[request.command->first_key]);
    }
    uint64_t errors = exec->stats.error_replies;
    if (reply_is_empty(&client->out))
        reply_literal(&client->out, "+"); /* so that its chunk stays */
    struct reply_mark mark = reply_mark(&client->out);
    dispatch_applied(client, &request);
    if (client->flags & CLIENT_PAUSED)
        return false;
    if (exec->stats.error_replies != errors)
        note_error_reply(apply, mark, apply->argv[0]);
    reply_rollback(&client->out, mark);
    leave_output_list(client);
    if (!(client->flags & CLIENT_IN_TRANSACTION))
        apply->report.requests++;
    block_serve_ready(exec->block);
    return true;
}

/* ---- Bytes ---------------------------------------------------------------------------------------- */

/* How many bytes a line that begins with '#' has, with its end; 0: it is not whole yet. */
static enum status annotation_size(const char *bytes, size_t size, size_t *ret_size)
{
    size_t seen = size < ANNOTATION_MAX ? size : ANNOTATION_MAX;
    const char *end = memchr(bytes, '\n', seen);
    if (!end && seen == ANNOTATION_MAX)
        return ST_INVALID;
    *ret_size = end ? (size_t)(end - bytes) + 1 : 0;
    return ST_OK;
}

static void advance(struct apply *apply, size_t size)
{
    apply->report.consumed += size;
    if (!(apply->client.flags & CLIENT_IN_TRANSACTION))
        apply->report.applied = apply->report.consumed;
}

/* Finds the request that begins at `bytes`, and its arguments; *ret_size is 0 when it is not whole. */
static enum status find_request(struct apply *apply, char *bytes, size_t size, size_t *ret_size,
                                uint32_t *ret_argc)
{
    const char *fault = NULL;
    if (likely(parser_may_take_plain(&apply->parser, &limits))) {
        *ret_size = parser_take_plain(bytes, size, apply->argv, apply->argv_capacity, ret_argc);
        if (likely(*ret_size > 0))
            return ST_OK;
    }
    switch (parser_next(&apply->parser, bytes, size, &limits, ret_size, &fault)) {
    case PARSER_NEED_MORE: *ret_size = 0; return ST_OK;
    case PARSER_ERROR: return malformed(apply, fault);
    case PARSER_REQUEST: break;
    }
    *ret_argc = apply->parser.arg_count;
    return take_arguments(apply, bytes) ? ST_OK
                                        : malformed(apply, "no memory for the arguments of this request");
}

/* Deals with what begins at `bytes`; *ret_size is 0 when it is not whole. ST_AGAIN: A4. */
static enum status apply_one(struct apply *apply, char *bytes, size_t size, size_t *ret_size)
{
    uint32_t argc = 0;
    if (bytes[0] == '#' && apply->options.skip_annotations) {
        if (annotation_size(bytes, size, ret_size) != ST_OK)
            return malformed(apply, "an annotation that is too long");
        advance(apply, *ret_size);
        return ST_OK;
    }
    if (bytes[0] != '*')
        return malformed(apply, "no request begins here");
    enum status status = find_request(apply, bytes, size, ret_size, &argc);
    if (status != ST_OK || *ret_size == 0)
        return status;
    if (argc == 0)
        return malformed(apply, "an empty request");
    if (!has_line_ends(apply->argv, argc))
        return malformed(apply, "a string that does not end in a line end");
    bool queues = apply->client.flags & CLIENT_IN_TRANSACTION;
    bool is_done =
        !queues && apply->options.intercept &&
        apply->options.intercept(apply->options.context, apply->argv, argc, apply->report.consumed);
    if (!is_done && !execute(apply, argc))
        return ST_AGAIN;
    drop_arguments(apply);
    advance(apply, *ret_size);
    return ST_OK;
}

static enum status apply_until(struct apply *apply, char *bytes, size_t size, uint64_t budget_ticks,
                               size_t *ret_used)
{
    struct exec *exec = apply->exec;
    uint64_t begin = exec->tick_mark;
    while (*ret_used < size) {
        size_t one = 0;
        enum status status = apply_one(apply, bytes + *ret_used, size - *ret_used, &one);
        if (status != ST_OK || one == 0)
            return status;
        *ret_used += one;
        if (exec->tick_mark - begin > budget_ticks)
            return ST_AGAIN;
    }
    return ST_OK;
}

enum status apply_feed(struct apply *apply, char *bytes, size_t size, uint64_t budget_ns, size_t *ret_used)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    struct exec *exec = apply->exec;
    *ret_used = 0;
    if (apply->client.flags & (CLIENT_PAUSED | CLIENT_UNBLOCKED))
        return ST_AGAIN;
    int64_t now_ms = exec->keyspace->now_ms;
    bool was_applying = exec->propagate.is_applying;
    exec->propagate.is_applying = true;
    exec->keyspace->now_ms = INT64_MIN; /* A2 */
    exec->tick_mark = pause_begin(exec);
    exec->blame.request.arrived_ticks = exec->tick_mark;
    uint64_t budget_ticks =
        budget_ns == APPLY_NO_BUDGET ? UINT64_MAX : clock_ns_to_ticks(exec->clock, budget_ns);
    enum status status = apply_until(apply, bytes, size, budget_ticks, ret_used);
    exec->keyspace->now_ms = now_ms;
    exec->propagate.is_applying = was_applying;
    return status;
}

void apply_report(const struct apply *apply, struct apply_report *ret_report)
{
    *ret_report = apply->report;
    ret_report->in_transaction = apply->client.flags & CLIENT_IN_TRANSACTION;
    ret_report->db = apply->client.db->number;
}

const char *apply_error(const struct apply *apply)
{
    return apply->error;
}

const char *apply_fault(const struct apply *apply)
{
    return apply->fault;
}
