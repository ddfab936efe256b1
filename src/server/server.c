/* The server's life: start, main loop, shutdown.
 *
 * Principal entry points: server_new, server_run, server_turn, server_free.
 * See also: listen.c (addresses), settings.c (options that change at run time), main.c (the process).
 * Threads: executor. */
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ahead.h"
#include "base/alloc.h"
#include "base/arena.h"
#include "base/crash.h"
#include "base/file_debug.h"
#include "base/log.h"
#include "base/role.h"
#include "base/scheduling.h"
#include "base/version.h"
#include "base/worker.h"
#include "observe/allocator.h"
#include "observe/latency.h"
#include "observe/metrics.h"
#include "observe/monitor.h"
#include "observe/slowlog.h"
#include "persist/persist.h"
#include "persist/snapshot.h"
#include "repl/primary.h"
#include "repl/repl.h"
#include "repl/replica.h"
#include "server/internal.h"

#define CHUNKS_KEPT  1024
#define CLOSE_ASK_NS 100000000ull

/* ---- Start ---------------------------------------------------------------------------------------- */

static void client_gone(void *context, struct client *client)
{
    struct observe *observe = context;
    monitor_client_gone(observe->monitor, client);
    if (client->exec->repl)
        repl_client_gone(client->exec->repl, client);
}

static void observe_init(struct server *server)
{
    struct exec *exec = server->exec;
    server->observe = (struct observe){
        .slowlog = slowlog_new(),
        .latency = latency_new(server->clock),
        .monitor = monitor_new(exec),
    };
    exec->hooks = (struct exec_hooks){
        .context = &server->observe,
        .slow = slowlog_hook,
        .replied = slowlog_replied_hook,
        .latency = latency_hook,
        .monitor = monitor_hook,
        .client_gone = client_gone,
    };
}

static void observe_done(struct server *server)
{
    slowlog_free(server->observe.slowlog);
    latency_free(server->observe.latency);
    monitor_free(server->observe.monitor);
    metrics_free(server->observe.metrics);
}

/* Nothing depends on it but scripts: what is amiss is told, and the server starts. */
static void write_pidfile(struct server *server)
{
    const char *path = server->config->pidfile;
    char text[32];
    int size = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (!path[0])
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, (size_t)size) != size) {
        log_write(server->log, LOG_WARNING, "cannot write pidfile '%s': %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    close(fd);
    server->pidfile_written = true;
}

/* What only a server on a real machine has. */
static enum status start_process_parts(struct server *server, const struct server_options *options,
                                       struct buf *ret_error)
{
    static const char *const facilities[] = {"user",   "local0", "local1", "local2", "local3",
                                             "local4", "local5", "local6", "local7"};
    if (server->simulated) {
        server->workers = options->workers;
        server->log = options->log;
        return ST_OK;
    }
    enum status status = server_enter_directory(server, ret_error);
    if (status != ST_OK)
        return status;
    status = log_open(server->config->logfile, (enum log_level)server->config->loglevel, &server->log);
    if (status != ST_OK) {
        buf_printf(ret_error, "cannot open log file '%s': %s", server->config->logfile, strerror(errno));
        return status;
    }
    if (server->config->syslog_enabled)
        log_to_system(server->log, server->config->syslog_ident, facilities[server->config->syslog_facility]);
    if (server->config->crash_log_enabled)
        crash_install(&(struct crash_options){.fd = log_descriptor(server->log), .version = SKUA_VERSION});
    server->workers = worker_pool_new(SERVER_WORKERS, SERVER_BULK_WORKERS);
    worker_submit_bulk(server->workers, allocator_upkeep, NULL);
    (void)scheduling_prompt(); /* the executor; after its workers, which would be started as it is */
    arena_use_workers(server->workers);
    server->debug_files = file_debug_new();
    return ST_OK;
}

static void wake_loop(void *loop)
{
    loop_wake(loop);
}

/* Every 100 milliseconds. */
static void cron(void *observe)
{
    struct server *server = container_of(observe, struct server, observe);
    metrics_hook(observe);
    persist_cron(server->exec->persist);
    repl_cron(server->exec->repl);
    bool is_replica = server->exec->repl->replica->state != REPLICA_OFF;
    if (unlikely(is_replica != server->oom_score.for_replica) && !server->simulated) {
        struct buf error = {0};
        if (!server_apply_process_settings(server, &error))
            log_write(server->log, LOG_WARNING, "oom-score-adj: %s", buf_string(&error));
        buf_done(&error);
    }
}

static void start_parts(struct server *server, const struct server_options *options)
{
    uint64_t seeds[2] = {options->seed, options->seed ^ 0x5bd1e9955bd1e995ull};
    if (!server->simulated)
        rng_system_bytes(seeds, sizeof seeds);
    chunk_pool_init(&server->chunks, CHUNKS_KEPT);
    struct exec_options exec_options = {
        .clock = server->clock,
        .config = server->config,
        .log = server->log,
        .chunks = &server->chunks,
        .workers = server->workers,
        .files = server->debug_files ? server->debug_files : options->files,
        .seed = seeds[0],
        .hash_seed = seeds[1],
    };
    server->exec = exec_new(&exec_options);
    server->exec->server = server;
    observe_init(server);
    struct io_options io_options = {
        .clock = server->clock,
        .config = server->config,
        .exec = server->exec,
        .loop = server->loop,
        .log = server->log,
        .hash_seed = seeds[1],
    };
    server->io = io_group_new(&io_options);
    server->observe.metrics = metrics_new(server->exec, server->io);
    server->exec->hooks.cron = cron;
    persist_new(server->exec);
    repl_new(server->exec, server->io);
    if (options->transport)
        server->exec->repl->transport = options->transport;
    server->exec->wake = wake_loop;
    server->exec->wake_context = server->loop;
    server_apply_settings(server);
}

enum status server_new(const struct server_options *options, struct server **ret_server,
                       struct buf *ret_error)
{
    struct server *server = mem_calloc(1, sizeof *server);
    server->config = options->config;
    server->simulated = options->simulated;
    server->title = options->title;
    clock_init_real(&server->real_clock);
    server->clock = options->clock ? options->clock : &server->real_clock;
    role_set(ROLE_EXECUTOR | ROLE_IO);
    enum status status = start_process_parts(server, options, ret_error);
    if (status == ST_OK) {
        struct loop_options loop_options = {.clock = server->clock, .simulated = server->simulated};
        status = loop_new(&loop_options, &server->loop);
        if (status != ST_OK)
            buf_printf(ret_error, "cannot make an event loop: %s", strerror(errno));
    }
    if (status != ST_OK) {
        server_free(server);
        return status;
    }
    start_parts(server, options);
    status = server_load_users(server->exec, ret_error);
    if (status == ST_OK)
        status = replica_configure(server->exec->repl->replica, ret_error);
    if (status == ST_OK && !server->simulated)
        status = server_listen(server, ret_error);
    if (status == ST_OK && !server->simulated && !server_apply_process_settings(server, ret_error))
        status = ST_INVALID;
    if (status == ST_OK && !server->simulated)
        write_pidfile(server);
    if (status == ST_OK && (!server->simulated || options->files))
        status = persist_load(server->exec->persist, ret_error);
    if (status != ST_OK) {
        server->state = SERVER_ENDED;
        server_free(server);
        return status;
    }
    config_start(server->config);
    *ret_server = server;
    return ST_OK;
}

/* ---- Main loop ------------------------------------------------------------------------------------ */

void server_request_shutdown(struct server *server)
{
    atomic_store(&server->exec->shutdown_requested, EXEC_SHUTDOWN_ORDERLY);
    loop_wake(server->loop);
}

/* What the words of shutdown-on-sigterm and shutdown-on-sigint mean; those of both have the same values. */
static void note_signal_option(struct exec *exec, int option)
{
    int save = option == CONFIG_SHUTDOWN_ON_SIGTERM_SAVE     ? EXEC_SHUTDOWN_SAVE_YES
               : option == CONFIG_SHUTDOWN_ON_SIGTERM_NOSAVE ? EXEC_SHUTDOWN_SAVE_NO
                                                             : EXEC_SHUTDOWN_SAVE_DEFAULT;
    atomic_store(&exec->shutdown_save, save);
    atomic_store(&exec->shutdown_force, option == CONFIG_SHUTDOWN_ON_SIGTERM_FORCE);
}

_Static_assert((int)CONFIG_SHUTDOWN_ON_SIGTERM_SAVE == (int)CONFIG_SHUTDOWN_ON_SIGINT_SAVE &&
                   (int)CONFIG_SHUTDOWN_ON_SIGTERM_NOSAVE == (int)CONFIG_SHUTDOWN_ON_SIGINT_NOSAVE &&
                   (int)CONFIG_SHUTDOWN_ON_SIGTERM_NOW == (int)CONFIG_SHUTDOWN_ON_SIGINT_NOW &&
                   (int)CONFIG_SHUTDOWN_ON_SIGTERM_FORCE == (int)CONFIG_SHUTDOWN_ON_SIGINT_FORCE,
               "one function for both");

void server_signal(struct server *server, int signal_number)
{
    const struct config *config = server->config;
    _Atomic int *requested = &server->exec->shutdown_requested;
    int option = signal_number == SIGINT ? config->shutdown_on_sigint : config->shutdown_on_sigterm;
    bool is_first = atomic_load(requested) == EXEC_SHUTDOWN_NONE;
    if (is_first)
        note_signal_option(server->exec, option);
    if (option == CONFIG_SHUTDOWN_ON_SIGTERM_NOW || (signal_number == SIGINT && !is_first))
        atomic_store(requested, EXEC_SHUTDOWN_NOW);
    else if (is_first)
        atomic_store(requested, EXEC_SHUTDOWN_ORDERLY);
    loop_wake(server->loop);
}

void server_accept(struct server *server, struct stream *stream)
{
    io_group_accept(server->io, stream);
}

struct exec *server_exec(struct server *server)
{
    return server->exec;
}

static void begin_stopping(struct server *server)
{
    uint64_t now_ns = clock_monotonic_ns(server->clock);
    log_write(server->log, LOG_NOTICE, "shutting down");
    if (!server->simulated)
        process_tell_stopping(server->config);
    if (persist_is_loading(server->exec->persist)) { /* there is nothing yet that anybody waits for */
        server->state = SERVER_ENDED;
        return;
    }
    server->state = SERVER_STOPPING;
    server->stop_deadline_ns = now_ns + (uint64_t)server->config->shutdown_timeout * 1000000000u;
    io_group_stop_accepting(server->io);
}

/* Whoever stopped the server by hand should not wonder what it waits for. */
static void log_waiting(struct server *server, uint64_t clients, uint64_t now_ns)
{
    log_write(
        server->log, LOG_NOTICE,
        "%llu clients have not taken their replies: waiting for at most %llu s, or until SIGINT comes again",
        (unsigned long long)clients,
        (unsigned long long)((server->stop_deadline_ns - now_ns) / 1000000000u + 1));
    server->waiting_logged = true;
}

/* Asks again from time to time: a connection may have been on its way between two I/O threads. */
static void go_on_stopping(struct server *server)
{
    uint64_t now_ns = clock_monotonic_ns(server->clock);
    uint64_t clients = io_group_connection_count(server->io);
    if (clients == 0 || now_ns >= server->stop_deadline_ns ||
        atomic_load(&server->exec->shutdown_requested) == EXEC_SHUTDOWN_NOW) {
        server->state = SERVER_ENDED;
        return;
    }
    if (server->next_close_ns == 0 && !server->replicas_waited && server->exec->repl &&
        !primary_finish(server->exec->repl->primary))
        return;
    if (now_ns >= server->next_close_ns) {
        bool asked = server->next_close_ns != 0;
        if (asked && !server->waiting_logged)
            log_waiting(server, clients, now_ns);
        server->next_close_ns = now_ns + CLOSE_ASK_NS;
        io_group_close_all(server->io);
    }
}

static void tell_ready(struct server *server)
{
    if (!server->simulated && !process_tell_ready(server->config))
        log_write(server->log, LOG_WARNING,
                  "the supervisor cannot be told that the server is ready: %s is not set, or leads nowhere",
                  process_supervisor(server->config) == CONFIG_SUPERVISED_UPSTART ? "UPSTART_JOB"
                                                                                  : "NOTIFY_SOCKET");
}

/* A slice of a loading, as a rule that of the start. Returns true when there is more to do at once. */
static bool go_on_loading(struct server *server)
{
    struct persist *persist = server->exec->persist;
    bool more = persist_step(persist);
    if (persist->load_failed) {
        server->exit_status = 1;
        server->state = SERVER_ENDED;
    } else if (!persist_is_loading(persist) && !server->ready_logged) {
        server->ready_logged = true;
        log_write(server->log, LOG_NOTICE, "Skua " SKUA_VERSION " is ready to accept connections");
        tell_ready(server);
    }
    return more;
}

/* How long the loop may wait. */
static uint64_t wait_time(struct server *server, bool had_work, uint64_t wait_ns)
{
    uint64_t now_ns = clock_monotonic_ns(server->clock);
    if (had_work)
        server->spin_until_ns = now_ns + io_group_spin_ns(server->io);
    if (now_ns < server->spin_until_ns || io_group_must_go_on(server->io))
        return 0;
    uint64_t cron_ns = exec_next_cron_ns(server->exec);
    uint64_t until_cron_ns = cron_ns > now_ns ? cron_ns - now_ns : 0;
    uint64_t answers_ns = io_group_wait_ns(server->io);
    if (until_cron_ns < wait_ns)
        wait_ns = until_cron_ns;
    return answers_ns < wait_ns ? answers_ns : wait_ns;
}

bool server_turn(struct server *server, uint64_t wait_ns)
{
    struct exec *exec = server->exec;
    if (server->state == SERVER_ENDED)
        return false;
    bool had_upkeep = exec_next_cron_ns(exec) <= clock_monotonic_ns(server->clock);
    if (had_upkeep)
        exec_cron(exec);
    bool had_work = io_group_serve(server->io);
    if (unlikely(server->io_threads_pending))
        server_update_io_threads(server);
    if (unlikely(atomic_load_explicit(&exec->shutdown_requested, memory_order_relaxed)) &&
        server->state == SERVER_RUNNING && server_save_first(server))
        begin_stopping(server);
    if (unlikely(server->state == SERVER_STOPPING))
        go_on_stopping(server);
    if (unlikely(persist_is_loading(exec->persist)) && server->state == SERVER_RUNNING &&
        go_on_loading(server))
        wait_ns = 0;
    if (server->state == SERVER_ENDED)
        return false;
    io_group_poll(server->io, had_work || had_upkeep, wait_time(server, had_work, wait_ns));
    return true;
}

/* What configuration files have asked for in vain. */
static void log_notices(struct server *server)
{
    struct buf notices = {0};
    config_notices(server->config, &notices);
    log_write_lines(server->log, LOG_NOTICE, buf_string(&notices));
    buf_done(&notices);
}

int server_run(struct server *server)
{
    struct buf addresses = {0};
    log_notices(server);
    server_describe_addresses(server, &addresses);
    server->ready_logged = !persist_is_loading(server->exec->persist);
    log_write(server->log, LOG_NOTICE, "Skua " SKUA_VERSION " %s",
              server->ready_logged ? "is ready to accept connections"
                                   : "loads its data; until then connections are told so");
    log_write_lines(server->log, LOG_NOTICE, buf_string(&addresses));
    buf_done(&addresses);
    if (server->ready_logged)
        tell_ready(server);
    while (server_turn(server, UINT64_MAX))
        ;
    log_write(server->log, LOG_NOTICE, "goodbye");
    return server->exit_status;
}

/* ---- End ------------------------------------------------------------------------------------------ */

void server_free(struct server *server)
{
    if (server->exec)
        repl_finish(server->exec->repl);
    if (server->io) {
        io_group_stop_accepting(server->io);
        io_group_free(server->io); /* whoever has not taken its last replies by now does not get them */
    }
    if (server->workers) { /* first: what they finish may still be handed to the executor */
        if (server->exec)
            ahead_set_on(server->exec->keyspace->ahead, false);
        arena_use_workers(NULL);
        worker_pool_free(server->workers);
        if (server->exec)
            server->exec->workers = server->exec->keyspace->workers = NULL;
    }
    if (server->exec) {
        if (server->exec->persist)
            snapshot_end_all(server->exec);
        repl_free(server->exec->repl);
        if (server->exec->persist)
            snapshot_end_all(server->exec); /* a log that a replica has let go of begins anew with one */
        persist_free(server->exec->persist);
        exec_free(server->exec);
        observe_done(server);
    }
    server_forget_listeners(server);
    server_forget_directories(server);
    chunk_pool_done(&server->chunks);
    if (server->loop)
        loop_free(server->loop);
    file_debug_free(server->debug_files);
    if (server->pidfile_written)
        unlink(server->config->pidfile);
    if (server->log)
        log_close(server->log);
    config_free(server->config);
    mem_free(server);
}
