/* One connection: bytes in, requests out, replies in, bytes out. States and invariants are in conn.h.
 *
 * Threads: the owning io only. */
#include "io/conn.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/copy.h"
#include "base/descriptors.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/role.h"
#include "config/config.h"
#include "exec/build.h"
#include "exec/exec.h"
#include "exec/post.h"
#include "exec/request.h"
#include "io/direct.h"
#include "io/foresee.h"

/* A request that is known to be longer than this gets memory step by step as its bytes arrive, so that announcing
 * a size costs a client as much as it costs the server. */
#define CONN_TRUSTED_SIZE ((uint64_t)1 << 20)

/* Room beside what has arrived, where the size of the request is not known yet. */
#define CONN_ROOM_MIN 2048

/* Bytes to one connection in one go, some 100 us of a socket's work: a peer that takes them as fast as they come must not
 * keep the others waiting. */
#define CONN_SEND_SIZE     ((uint64_t)128 << 10)
#define CONN_PINNED_WEIGHT 4 /* a pinned byte costs a fourth of one that is copied, or less */

/* ---- Admission ------------------------------------------------------------------------------------ */

static void refuse(struct io_group *group, struct stream *stream, const char *text)
{
    struct slice slice = slice_from_string(text);
    size_t sent;
    /* One try: a fresh socket takes a line, and a peer that does not is not waited for. */
    (void)stream_send(stream, &slice, 1, &sent);
    stream_close(stream);
    atomic_fetch_add_explicit(&group->rejected, 1, memory_order_relaxed);
}

uint64_t conn_descriptors(const struct io_group *group)
{
    return atomic_load_explicit(&group->conn_count, memory_order_relaxed) +
           atomic_load_explicit(&group->shm.processes, memory_order_relaxed);
}

/* Takes one of maxclients' places, if there is one, and a descriptor that files do not need. */
static bool take_place(struct io_group *group)
{
    uint64_t before = atomic_fetch_add_explicit(&group->conn_count, 1, memory_order_relaxed);
    if (before < (uint64_t)group->options.config->maxclients &&
        conn_descriptors(group) <= descriptors_for_clients())
        return true;
    atomic_fetch_sub_explicit(&group->conn_count, 1, memory_order_relaxed);
    return false;
}

bool conn_admit(struct io_group *group, struct stream *stream)
{
    const struct config *config = group->options.config;
    struct stream_description description;
    stream_describe(stream, &description);
    if (config->protected_mode && !description.is_loopback && !description.is_local_socket &&
        atomic_load_explicit(&group->options.exec->admits_strangers, memory_order_relaxed)) {
        refuse(
            group, stream,
            "-DENIED Skua is running in protected mode: no password is set for the default user, so only "
            "connections from this host are accepted. To serve other hosts, set a password (requirepass) or, "
            "if the network is trusted, switch protected-mode off.\r\n");
        return false;
    }
    /* The place is taken here, in the order of accepting, and given back by conn_free. */
    if (!take_place(group)) {
        refuse(group, stream, "-ERR max number of clients reached\r\n");
        return false;
    }
    return true;
}

static void on_ready(struct stream *stream, unsigned events)
{
    struct conn *conn = stream->owner;
    conn->ready_events |= events;
    if (!list_is_listed(&conn->in_ready))
        list_append(&conn->io->ready, &conn->in_ready);
}

static void describe(struct conn *conn, const struct stream_description *description)
{
    struct conn_shared *shared = &conn->shared;
    memcpy(shared->peer, description->peer, sizeof shared->peer);
    memcpy(shared->local, description->local, sizeof shared->local);
    shared->descriptor = description->descriptor;
    shared->is_local_socket = description->is_local_socket;
    atomic_store_explicit(&shared->transport, conn->stream->transport->name, memory_order_relaxed);
}

static void enlist(struct conn *conn, struct io *io)
{
    conn->io = io;
    list_append(&io->conns, &conn->in_conns);
    io_count(&io->counters.connections, 1);
    atomic_store_explicit(&conn->shared.io_thread, io->index, memory_order_relaxed);
    io->lingering += conn->lingers;
    conn->leaves = false;
}

static void delist(struct conn *conn)
{
    list_remove(&conn->in_conns);
    io_count(&conn->io->counters.connections, (uint64_t)-1);
    conn->io->lingering -= conn->lingers;
    conn->io->leaving -= conn->leaves;
    conn->io->spread_rests &= !conn->leaves;
    struct list_node *nodes[] = {&conn->in_ready, &conn->in_unsent, &conn->in_sending, &conn->in_stalled,
                                 &conn->in_moving};
    for (size_t i = 0; i < ARRAY_COUNT(nodes); i++)
        if (list_is_listed(nodes[i]))
            list_remove(nodes[i]);
    conn->postponed = false;
}

/* From now on the connection is kept for its last answers only. */
static void linger(struct conn *conn)
{
    if (conn->lingers)
        return;
    conn->lingers = true;
    conn->io->lingering++;
    conn->active_ns = conn->io->now_ns;
}

void conn_update_wants(struct conn *conn)
{
    unsigned wants = 0;
    bool has_room = !conn->input || conn->input->end < conn->input->capacity;
    if (conn->state == CONN_OPEN && !conn->at_end) {
        if (conn->upgrade)
            wants |= STREAM_WANT_END;
        else if (!conn->faulty && (!conn->halted || has_room))
            wants |= STREAM_WANT_RECV;
        else if (!conn->lingers)
            wants |= STREAM_WANT_END; /* a client that waits for ever may be gone behind what it has sent */
    }
    if (conn->send_blocked)
        wants |= STREAM_WANT_SEND;
    stream_want(conn->stream, wants);
}

void conn_new(struct io *io, struct stream *stream)
{
    struct stream_description description;
    stream_describe(stream, &description);
    if (stream_attach(stream, io->loop) != ST_OK) {
        log_write(io->group->options.log, LOG_WARNING, "cannot watch a new connection: %s", strerror(errno));
        stream_close(stream);
        atomic_fetch_sub_explicit(&io->group->conn_count, 1, memory_order_relaxed);
        return;
    }
    struct conn *conn = mem_calloc(1, sizeof *conn);
    conn->state = CONN_OPEN;
    conn->stream = stream;
    conn->active_ns = io->now_ns;
    conn->shared.id = atomic_fetch_add_explicit(&io->group->next_client_id, 1, memory_order_relaxed);
    parser_init(&conn->parser);
    describe(conn, &description);
    /* The first bytes may be parsed before the executor has heard of the connection: it decides as this does. */
    bool is_admitted = atomic_load_explicit(&io->group->options.exec->admits_strangers, memory_order_relaxed);
    atomic_store_explicit(&conn->shared.authenticated, is_admitted, memory_order_relaxed);
    stream->owner = conn;
    stream->ready = on_ready;
    conn->is_loopback = description.is_loopback;
    if (stream->ops->set_keepalive && io->group->options.config->tcp_keepalive > 0)
        stream->ops->set_keepalive(stream, (unsigned)io->group->options.config->tcp_keepalive);
    enlist(conn, io);
    conn_share_pinning(conn);
    io_tell(io, IO_OPENED, conn);
    conn_update_wants(conn);
}

/* ---- Input: memory -------------------------------------------------------------------------------- */

/* Drops one reference to a receive chunk. */
static void release_input(struct io *io, struct chunk *chunk)
{
    if (--chunk->refs == 0)
        chunk_put(io->chunks, chunk);
}

/* Moves the unparsed bytes into another chunk of at least `capacity` bytes. False when memory is refused. */
static bool replace_input(struct conn *conn, uint64_t capacity)
{
    struct chunk *old = conn->input;
    uint64_t unparsed = old->end - conn->parsed;
    struct chunk *chunk = chunk_new(conn->io->chunks, capacity);
    if (!chunk)
        return false;
    memcpy(chunk->data, old->data + conn->parsed, unparsed);
    chunk->end = unparsed;
    chunk->refs = 1;
    conn->input = chunk;
    conn->parsed = 0;
    release_input(conn->io, old);
    return true;
}

/* How large the next chunk for an incomplete request should be. Where the end is not known yet, or not believed, it
 * grows by a share of what has arrived: the bytes are moved a few times in all, however long the request. */
static uint64_t next_capacity(const struct conn *conn, uint64_t unparsed)
{
    uint64_t capacity = conn->wanted;
    uint64_t least = unparsed + (unparsed / 4 > CONN_ROOM_MIN ? unparsed / 4 : CONN_ROOM_MIN);
    if (capacity > CONN_TRUSTED_SIZE && capacity > unparsed * 2)
        capacity = unparsed * 2 > CONN_TRUSTED_SIZE ? unparsed * 2 : CONN_TRUSTED_SIZE;
    return capacity > least ? capacity : least;
}

/* Makes room for a receive call. False: no room now (parsing is halted), or the connection has been ended. */
static bool make_room(struct conn *conn)
{
    if (!conn->input) {
        conn->input = chunk_pool_get(conn->io->chunks);
        conn->input->refs = 1;
        conn->parsed = 0;
        return true;
    }
    struct chunk *input = conn->input;
    uint64_t unparsed = input->end - conn->parsed;
    uint64_t room = input->capacity - input->end;
    uint64_t trusted = conn->wanted < CONN_TRUSTED_SIZE ? conn->wanted : CONN_TRUSTED_SIZE;
    /* A chunk with room is left only for one that holds all of the request, as far as its size is believed. */
    if (room > 0 && (conn->parsed + conn->wanted <= input->capacity || input->capacity >= trusted))
        return true;
    if (conn->halted)
        return room > 0;
    if (replace_input(conn, next_capacity(conn, unparsed)))
        return true;
    log_write(conn->io->group->options.log, LOG_WARNING, "client id=%llu closed: no memory for its request",
              (unsigned long long)conn->shared.id);
    conn_end(conn);
    return false;
}

/* After parsing: a chunk without unparsed bytes goes back, or starts over. */
static void tidy_input(struct conn *conn)
{
    struct chunk *input = conn->input;
    if (!input || conn->parsed < input->end)
        return;
    conn->parsed = 0;
    conn->input = NULL;
    release_input(conn->io, input);
}

/* ---- Input: requests ------------------------------------------------------------------------------ */

/* Slices for the arguments: in the run, or in memory of its own for a request with many. */
static struct slice *take_slices(struct run *run, uint32_t count)
{
    if (count <= (uint32_t)(RUN_ARGUMENTS - run->argument_count)) {
        struct slice *slices = &run->arguments[run->argument_count];
        run->argument_count = (uint16_t)(run->argument_count + count);
        return slices;
    }
    run->extra_arguments = mem_try_alloc(count * sizeof *run->extra_arguments);
    return run->extra_arguments;
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

/* The same for the run's next request: pipelines are mostly of one command, in the same letters. */
ALWAYS_INLINE const struct command *lookup_next(const struct run *run, const struct slice *argv,
                                                uint32_t argc)
{
    if (unlikely(run->count == 0))
        return lookup(argv, argc);
    const struct request *before = &run->requests[run->count - 1];
    if (before->command != NULL && before->argv[0].size == argv[0].size &&
        before->command->subcommand_count == 0 && before->command->parent == NULL &&
        equal_short(before->argv[0].data, argv[0].data, argv[0].size))
        return before->command;
    return lookup(argv, argc);
}

ALWAYS_INLINE void put_request(struct request *ret_request, const struct command *command,
                               const struct slice *argv, uint32_t argc, uint64_t size)
{
    *ret_request = (struct request){.command = command,
                                    .argv = argv,
                                    .argc = argc,
                                    .bytes = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX};
}

/* Counts the request that has been put behind the run's others as one of them; `argv` are its words. */
ALWAYS_INLINE void count_request(struct conn *conn, struct run *run, struct slice *argv)
{
    struct request *request = &run->requests[run->count++];
    const struct command *command = request->command;
    if (unlikely(command == NULL))
        return;
    run->direct_count += command->direct != NULL;
    if (command->first_key > 0 && likely(request->argc > (uint32_t)command->first_key)) {
        request->has_key = true;
        request->key_hash = hash_slice(argv[command->first_key], conn->io->group->options.hash_seed);
        if (conn->io->heap != NULL && command->value_arg > 0)
            build_value(conn->io->heap, run, argv);
        if (run->candidates == run->count - 1 && (request->is_plain || command->is_foreseeable))
            run->candidates = run->count;
    }
}

/* Adds the request that has just been found, whose arguments are the run's last ones. */
static void add_request(struct conn *conn, struct run *run, struct slice *argv, uint32_t argc, uint64_t size)
{
    put_request(&run->requests[run->count], lookup_next(run, argv, argc), argv, argc, size);
    count_request(conn, run, argv);
}

/* The same of what the parser has found. False when memory for its arguments is refused. */
NO_INLINE static bool add_parsed(struct conn *conn, struct run *run, const char *bytes, uint64_t size)
{
    const struct parser *parser = &conn->parser;
    uint32_t argc = parser->arg_count;
    struct slice *argv = take_slices(run, argc);
    if (!argv)
        return false;
    for (uint32_t i = 0; i < argc; i++)
        argv[i] = slice_make(bytes + parser->args[i].offset, parser->args[i].size);
    add_request(conn, run, argv, argc, size);
    return true;
}

static struct run *begin_run(struct conn *conn)
{
    struct run *run = io_run_get(conn->io);
    run->conn = conn;
    run->arrived_ticks = conn->received_ticks;
    run->input = conn->input;
    conn->input->refs++;
    return run;
}

static void submit(struct conn *conn, struct run *run)
{
    conn->outstanding++;
    conn->io->outstanding++;
    conn->io->follow_seed = conn->io->follow_seed * 1664525 + 1013904223;
    run->followed = (uint16_t)((conn->io->follow_seed >> 16) * run->count >> 16);
    run->stop = (uint16_t)(run->followed + 1);
    if (atomic_load_explicit(&conn->shared.direct_command, memory_order_relaxed))
        atomic_store_explicit(&conn->shared.direct_command, NULL, memory_order_relaxed);
    if (run->foreseen.count > 0 && run->requests[run->followed].command)
        run->reply_command = run->requests[run->followed].command->id; /* blame_follow */
    io_count(&conn->io->counters.requests, run->count);
    io_tell(conn->io, IO_RUN, run);
}

static bool is_authenticated(const struct conn *conn)
{
    return atomic_load_explicit(&conn->shared.authenticated, memory_order_relaxed);
}

/* Until a client is authenticated its requests go one by one: the next may follow an AUTH that lifts its limits. */
static unsigned runs_max(const struct conn *conn)
{
    return likely(is_authenticated(conn)) ? CONN_RUNS_MAX : 1;
}

static bool is_run_full(const struct run *run, const struct parser_limits *limits)
{
    if (unlikely(!limits->authenticated) && run->count > 0)
        return true;
    return run->count == RUN_REQUESTS || run->argument_count == RUN_ARGUMENTS || run->extra_arguments;
}

static void note_fault(struct conn *conn, struct run *run, const char *text)
{
    run->requests[run->count++] = (struct request){.fault = text, .is_faulty = true};
    conn->faulty = true;
}

static void halt(struct conn *conn)
{
    conn->halted = true;
    if (!conn->awaits_answers && conn->outstanding < runs_max(conn) && !list_is_listed(&conn->in_stalled))
        list_append(&conn->io->stalled, &conn->in_stalled);
}

static void get_limits(const struct conn *conn, struct parser_limits *ret_limits)
{
    const struct config *config = conn->io->group->options.config;
    ret_limits->bulk_max = config->proto_max_bulk_len;
    ret_limits->multibulk_max = INT32_MAX;
    ret_limits->authenticated = is_authenticated(conn);
}

void conn_mark_unsent(struct conn *conn)
{
    if (conn->postponed) {
        conn->postponed = false;
        list_remove(&conn->in_unsent);
    }
    if (!conn->send_blocked && !list_is_listed(&conn->in_unsent))
        list_append(&conn->io->unsent, &conn->in_unsent);
}

/* Whether the peer has sent its last byte and got its last answer. */
static bool is_over(const struct conn *conn)
{
    return conn->at_end && conn->state == CONN_OPEN && conn->outstanding == 0 && !conn->halted;
}

/* Whether the request that has just been added is a read that had better wait for the answers to what is before it: not when it will
 * be foreseen. An inline request cannot be parsed twice. */
static bool must_wait(const struct conn *conn, const struct run *run, char first)
{
    const struct command *command = run->requests[run->count - 1].command;
    bool is_behind = conn->outstanding > 0 || run->count > run->direct_count;
    if (!command || !command->direct || !is_behind || first != '*')
        return false;
    return !(run->candidates == run->count && conn_may_foresee(conn)) && conn_must_wait_for_direct(conn);
}

/* Takes back the request that has just been added: its arguments are the last. */
static void take_back_request(struct run *run)
{
    const struct request *request = &run->requests[--run->count];
    run->direct_count--;
    if (run->candidates > run->count)
        run->candidates = run->count;
    if (request->argv == run->extra_arguments) {
        mem_free(run->extra_arguments);
        run->extra_arguments = NULL;
    } else {
        run->argument_count = (uint16_t)(run->argument_count - request->argc);
    }
}

enum filled {
    FILLED_RUN,   /* there may be more for another */
    FILLED_ALL,   /* to the end of the bytes, or of the connection's good faith */
    FILLED_SO_FAR /* the next request is to be answered directly, and waits */
};

/* How a plain request of the run begins: up to the end of its first word, which alone says what command it is. Requests of a pipeline
 * mostly begin alike, and then there is no need to understand that part of them, and to look the command up, again. */
struct beginning {
    const char *bytes; /* in the run's input */
    size_t size;       /* 0: there is none */
    size_t name_offset, name_size;
    uint32_t argc;
    const struct command *command;
};

static void note_beginning(struct beginning *beginning, const char *bytes, const struct request *request)
{
    const struct command *command = request->command;
    struct slice name = request->argv[0];
    bool says_all = command != NULL && command->subcommand_count == 0 && command->parent == NULL;
    size_t offset = (size_t)(name.data - bytes);
    *beginning = (struct beginning){
        bytes, says_all ? offset + name.size + 2 : 0, offset, name.size, request->argc, command};
}

/* Adds the next requests that are plain and begin like that, at most `most`. Returns their size; 0: the next is not one of them, and nothing
 * has happened. */
static size_t add_alike(struct conn *conn, struct run *run, const struct beginning *beginning,
                        const char *bytes, const char *end, unsigned most)
{
    struct request *request = &run->requests[run->count];
    struct slice *argv = &run->arguments[run->argument_count];
    const char *at = bytes, *like = beginning->bytes;
    size_t size = beginning->size, name_offset = beginning->name_offset, name_size = beginning->name_size;
    uint32_t argc = beginning->argc, room = (uint32_t)(RUN_ARGUMENTS - run->argument_count);
    unsigned count = 0;
    while (count < most && room >= argc && (size_t)(end - at) >= size && equal_short(at, like, size)) {
        const char *behind = parser_take_plain_bulks(at + size, end, argv + 1, argc - 1);
        if (unlikely(behind == NULL))
            break;
        argv[0] = slice_make(at + name_offset, name_size);
        put_request(request++, beginning->command, argv, argc, (size_t)(behind - at));
        argv += argc;
        room -= argc;
        at = behind;
        count++;
    }
    for (argv = &run->arguments[run->argument_count]; count > 0; count--, argv += argc)
        count_request(conn, run, argv);
    run->argument_count = (uint16_t)(RUN_ARGUMENTS - room);
    return (size_t)(at - bytes);
}

/* The same of any plain request (parser_take_plain), whose beginning it notes. */
NO_INLINE static size_t add_plain(struct conn *conn, struct run *run, struct beginning *ret_beginning,
                                  const char *bytes, size_t size)
{
    struct slice *argv = &run->arguments[run->argument_count];
    uint32_t argc;
    size_t taken =
        parser_take_plain(bytes, size, argv, (uint32_t)(RUN_ARGUMENTS - run->argument_count), &argc);
    if (likely(taken > 0)) {
        run->argument_count = (uint16_t)(run->argument_count + argc);
        add_request(conn, run, argv, argc, taken);
        note_beginning(ret_beginning, bytes, &run->requests[run->count - 1]);
    }
    return taken;
}

/* The same of any other: bytes of the run's input that do not begin like a plain request. */
NO_INLINE static enum parser_result add_any(struct conn *conn, struct run *run, char *bytes, size_t size,
                                            const struct parser_limits *limits, size_t *ret_taken)
{
    const char *error;
    enum parser_result result = parser_next(&conn->parser, bytes, size, limits, ret_taken, &error);
    if (result == PARSER_NEED_MORE) {
        conn->wanted = *ret_taken;
    } else if (result == PARSER_ERROR) {
        note_fault(conn, run, error);
    } else if (conn->parser.arg_count > 0 && !add_parsed(conn, run, bytes, *ret_taken)) {
        conn->parsed += *ret_taken;
        note_fault(conn, run, "ERR no memory for the arguments of this request");
        return PARSER_ERROR;
    }
    return result;
}

/* Finds requests until the bytes end, the run is full or something is wrong. */
static enum filled fill_run(struct conn *conn, struct run *run, const struct parser_limits *limits)
{
    bool may_wait = conn->io->direct != NULL;
    bool is_plain = parser_may_take_plain(&conn->parser, limits);
    char *bytes = conn->input->data + conn->parsed, *end = conn->input->data + conn->input->end;
    struct beginning beginning = {.size = 0};
    size_t taken;
    conn->wanted = 0;
    for (; !is_run_full(run, limits); bytes += taken, conn->parsed += taken) {
        unsigned count = run->count;
        if (bytes == end)
            return FILLED_ALL;
        taken = 0;
        if (likely(is_plain) && beginning.size > 0)
            taken = add_alike(conn, run, &beginning, bytes, end,
                              may_wait ? 1 : (unsigned)(RUN_REQUESTS - run->count));
        if (unlikely(taken == 0) && likely(is_plain))
            taken = add_plain(conn, run, &beginning, bytes, (size_t)(end - bytes));
        if (unlikely(taken == 0)) {
            if (add_any(conn, run, bytes, (size_t)(end - bytes), limits, &taken) != PARSER_REQUEST)
                return FILLED_ALL;
            is_plain = parser_may_take_plain(&conn->parser, limits);
        }
        if (unlikely(may_wait) && run->count > count && unlikely(must_wait(conn, run, bytes[0]))) {
            take_back_request(run);
            return FILLED_SO_FAR;
        }
    }
    return FILLED_RUN;
}

/* Parsing goes on when no run is outstanding any more; some run is. */
static void await_answers(struct conn *conn)
{
    DEBUG_ASSERT(conn->outstanding > 0);
    conn->awaits_answers = true;
    io_count(&conn->io->direct->waits, 1);
    halt(conn);
}

void conn_parse(struct conn *conn)
{
    struct parser_limits limits;
    conn->halted = conn->awaits_answers = false;
    bool more = conn->input && !conn->faulty && !conn->upgrade;
    /* On io 0 a submitted run may be executed at once, and may end this very connection. */
    while (more && conn->state == CONN_OPEN) {
        if (conn->outstanding >= runs_max(conn) || !io_has_room(conn->io)) {
            halt(conn);
            break;
        }
        get_limits(conn, &limits);
        struct run *run = begin_run(conn);
        enum filled filled = fill_run(conn, run, &limits);
        more = filled == FILLED_RUN;
        if (run->direct_count > 0 && conn->io->direct && !conn_foresee(conn, run))
            conn_read_direct(conn, run);
        if (run->count)
            submit(conn, run);
        else
            io_run_put(conn->io, run);
        if (unlikely(filled == FILLED_SO_FAR))
            await_answers(conn);
    }
    tidy_input(conn);
    if (unlikely(conn->state != CONN_OPEN))
        return;
    uint64_t unparsed = conn->input ? conn->input->end - conn->parsed : 0;
    atomic_store_explicit(&conn->shared.query_bytes, unparsed, memory_order_relaxed);
    atomic_store_explicit(&conn->shared.query_free,
                          conn->input ? conn->input->capacity - conn->input->end : 0, memory_order_relaxed);
    if (unlikely(unparsed > (uint64_t)conn->io->group->options.config->client_query_buffer_limit)) {
        log_write(conn->io->group->options.log, LOG_WARNING,
                  "client id=%llu addr=%s closed for exceeding its query buffer limit",
                  (unsigned long long)conn->shared.id, conn->shared.peer);
        atomic_fetch_add_explicit(&conn->io->group->query_closed, 1, memory_order_relaxed);
        conn_end(conn);
        return;
    }
    if (unlikely(is_over(conn)))
        conn_mark_unsent(conn);
    conn_update_wants(conn);
}

void conn_receive(struct conn *conn)
{
    if (conn->state != CONN_OPEN || conn->faulty || conn->at_end || conn->upgrade || !make_room(conn))
        return;
    struct chunk *input = conn->input;
    size_t size;
    enum status status =
        stream_recv(conn->stream, input->data + input->end, input->capacity - input->end, &size);
    if (status == ST_AGAIN) {
        tidy_input(conn);
        return;
    }
    if (status == ST_EOF &&
        (conn->outstanding > 0 || conn->halted || conn->output.bytes > 0 || stream_is_pinned(conn->stream))) {
        conn->at_end = true;
        linger(conn);
        if (is_over(conn))
            conn_mark_unsent(conn); /* it drains */
        conn_update_wants(conn);
        return;
    }
    if (status != ST_OK) {
        conn_end(conn);
        return;
    }
    input->end += size;
    conn->received_ticks = loop_ready_ticks(conn->io->loop);
    conn->active_ns = conn->io->now_ns;
    io_count(&conn->shared.bytes_in, size);
    io_count(&conn->io->counters.bytes_in, size);
    io_count(&conn->io->counters.reads, 1);
    if (conn->halted)
        conn_update_wants(conn);
    else
        conn_parse(conn);
}

void conn_hang_up(struct conn *conn)
{
    if (conn->state == CONN_FINISHING)
        conn_end(conn); /* nobody is there to take the rest */
    if (conn->state != CONN_OPEN)
        return;
    linger(conn);
    conn_update_wants(conn);
}

/* ---- Output --------------------------------------------------------------------------------------- */

/* Before `drained` is looked at, and the executor sets that before it looks at what is left: one of them sees the other's. */
static void count_sent(struct conn *conn, uint64_t size)
{
    atomic_fetch_sub(&conn->shared.output_bytes, size);
}

static void tell_drained(struct conn *conn)
{
    struct exec_post *post;
    if (conn->output.bytes <= PORT_DRAINED_SIZE && (post = atomic_exchange(&conn->shared.drained, NULL)))
        exec_post(conn->io->group->options.exec, post);
}

void conn_queue_output(struct conn *conn, struct chunk_list *bytes)
{
    if (conn->state == CONN_ENDED) {
        count_sent(conn, bytes->bytes);
        chunk_list_drop(bytes, conn->io->chunks, conn->io->group->options.exec->workers);
        return;
    }
    conn->output_total += bytes->bytes;
    chunk_list_move(&conn->output, bytes);
    conn_mark_unsent(conn);
}

bool conn_postpone(struct conn *conn)
{
    struct io *io = conn->io;
    /* What halts it for its next read says that an answer is on its way. Should that be long in coming, what is there goes. */
    if (likely(!conn->awaits_answers) || conn->state != CONN_OPEN || conn->at_end || conn->upgrade ||
        conn->output.bytes == 0 || conn->output.bytes > CONN_POSTPONED_SIZE)
        return false;
    if (conn->postponed_ns == 0)
        conn->postponed_ns = io->now_ns;
    else if (io->now_ns - conn->postponed_ns >= CONN_POSTPONED_NS)
        return false;
    conn->postponed = true;
    list_append(&io->postponed, &conn->in_unsent);
    return true;
}

void conn_end_postponing(struct io *io)
{
    while (!list_is_empty(&io->postponed)) {
        struct conn *conn = list_entry(io->postponed.next, struct conn, in_unsent);
        if (io->now_ns - conn->postponed_ns < CONN_POSTPONED_NS)
            break;
        conn_mark_unsent(conn);
    }
}

/* What has been sent, in bytes of a share: pinned ones cost less. */
static uint64_t weigh(const struct conn_sent *sent)
{
    return sent->is_pinned ? sent->size / CONN_PINNED_WEIGHT : sent->size;
}

void conn_send(struct conn *conn)
{
    if (conn->state == CONN_ENDED)
        return;
    conn->send_blocked = false;
    conn->postponed_ns = 0;
    uint64_t left = CONN_SEND_SIZE;
    while (conn->output.bytes > 0) {
        if (left == 0) {
            /* It is others' turn. Not for the loop to say when there is room: a socket that has some may be called
             * full until most of it has been read. */
            if (!list_is_listed(&conn->in_sending))
                list_append(&conn->io->sending, &conn->in_sending);
            break;
        }
        struct conn_sent sent;
        enum status status = conn_send_some(conn, left, &sent);
        if (status == ST_AGAIN) {
            conn->send_blocked = true;
            break;
        }
        if (status != ST_OK) {
            conn_end(conn);
            return;
        }
        left -= weigh(&sent) < left ? weigh(&sent) : left;
        count_sent(conn, sent.size);
        conn_consume(conn, &sent);
        conn->active_ns = conn->io->now_ns;
        io_count(&conn->shared.bytes_out, sent.size);
        io_count(&conn->io->counters.bytes_out, sent.size);
        io_count(&conn->io->counters.writes, 1);
    }
    if (conn->watch_count)
        conn_watch_sent(conn);
    if (unlikely(atomic_load(&conn->shared.drained) != NULL))
        tell_drained(conn);
    bool is_at_end = (conn->state == CONN_FINISHING || is_over(conn)) && conn->output.bytes == 0;
    if (!conn_waits_for_pins(conn, is_at_end) && is_at_end) {
        conn_end(conn);
        return;
    }
    if (unlikely(conn->upgrade)) {
        conn_go_on_upgrading(conn);
        if (conn->state == CONN_ENDED)
            return;
    }
    atomic_store_explicit(&conn->shared.output_chunks, conn->output.count, memory_order_relaxed);
    conn_update_wants(conn);
}

/* ---- Ends ----------------------------------------------------------------------------------------- */

void conn_finish(struct conn *conn)
{
    if (conn->state == CONN_ENDED)
        return;
    conn->state = CONN_FINISHING;
    linger(conn);
    conn_send(conn);
}

void conn_end(struct conn *conn)
{
    struct io *io = conn->io;
    if (conn->state == CONN_ENDED)
        return;
    conn->state = CONN_ENDED;
    delist(conn);
    count_sent(conn, conn->output.bytes);
    conn_part(conn);
    chunk_list_drop(&conn->output, io->chunks, io->group->options.exec->workers);
    io->unforgotten++;
    list_append(&io->closing, &conn->in_closing);
}

void conn_run_done(struct conn *conn, struct run *run)
{
    DEBUG_ASSERT(conn->outstanding > 0);
    conn->outstanding--;
    conn->io->outstanding--;
    if (run->foreseen.count > 0)
        conn_note_foreseen(conn, run);
    conn_watch_run(conn, run);
    io_run_put(conn->io, run);
    bool goes_on = !conn->awaits_answers || conn->outstanding == 0;
    if (unlikely(conn->halted) && goes_on && conn->state == CONN_OPEN && !list_is_listed(&conn->in_stalled))
        list_append(&conn->io->stalled, &conn->in_stalled);
    if (unlikely(is_over(conn) || conn->upgrade))
        conn_mark_unsent(conn);
}

void conn_free(struct conn *conn)
{
    ASSERT(conn->state == CONN_ENDED && conn->outstanding == 0);
    if (list_is_listed(&conn->in_closing))
        list_remove(&conn->in_closing);
    if (conn->input)
        release_input(conn->io, conn->input);
    parser_done(&conn->parser);
    mem_free(conn->upgrade);
    conn->io->unforgotten--;
    atomic_fetch_sub_explicit(&conn->io->group->conn_count, 1, memory_order_relaxed);
    mem_free(conn);
}

/* ---- Moving --------------------------------------------------------------------------------------- */

void conn_move(struct conn *conn)
{
    if (conn->state != CONN_OPEN)
        return;
    conn->state = CONN_MOVING;
    conn->leaves = true;
    conn->io->leaving++;
    conn_update_wants(conn);
    list_append(&conn->io->moving, &conn->in_moving);
}

void conn_depart(struct conn *conn)
{
    if (conn->state != CONN_MOVING)
        return;
    struct io *from = conn->io;
    conn_waits_for_pins(conn, false);
    delist(conn);
    stream_detach(conn->stream);
    from->outstanding -= conn->outstanding;
    io_ask_some(from->group, IO_TAKE_CONN, conn);
}

void conn_arrive(struct conn *conn, struct io *io)
{
    enlist(conn, io);
    conn_share_pinning(conn);
    io->outstanding += conn->outstanding;
    conn->state = CONN_OPEN;
    conn->ready_events = 0;
    bool attached = stream_attach(conn->stream, io->loop) == ST_OK;
    /* On io 0 this hands over what was held back, which may end the connection. */
    io_tell(io, IO_ADOPTED, conn);
    if (!attached)
        conn_end(conn);
    if (conn->state == CONN_ENDED)
        return;
    if (conn->output.bytes > 0 || conn->upgrade)
        conn_mark_unsent(conn);
    conn_note_unpinned(conn); /* what was told on the way */
    conn_parse(conn);
}
