/* One request: from checks to reply. Internal to exec/. Executor only.
 *
 * The time of a command is that from the end of the one before. Looking at the clock takes as long as a short command does, and so does
 * looking at everything that mostly is not the case. So short commands that follow each other are executed in stretches:
 *
 * Z1  Requests of one command that follow each other in a run, all of them short (by the command's declaration and by their words: they
 *     take keys, look at few things, wait for nothing), are executed by dispatch_stretch. What hinders clients is looked at once, before
 *     the first; and the time of the stretch is divided among them.
 * Z2  A stretch ends with its run at the latest. When the request that is followed is one of it (exec/blame.h), its waiting and its
 *     execution are taken to end when those of the stretch do: no reply is on its way before that.
 * Z3  A stretch that took long is told as one command that did, its last. Where requests have waited for half as long as is told of,
 *     or every command is told of, there are no stretches; nor where something hinders the client, or it is in any mode.
 * Z4  Nothing but its commands happens within a stretch: it ends before clients that wait are served, before memory is made, and before what
 *     was pushed to the client is put behind its reply. Its commands cannot change what was looked at before the first but for what is looked
 *     at between any two (is_undisturbed): commands that set modes, options or pauses take no keys.
 * Z5  A command may have a brief form, which does what the command does in its plain case and nothing else: it finds its first key as it is
 *     wanted, looks or changes it in place, by one step, and answers; it needs no memory but the reply's, and answers no error. In a
 *     stretch it is tried first, if nobody hears of what is done (plain_is_unheard): then there is nothing to be looked at, told or
 *     written behind it, and nothing that it could disturb. Where it does not do, nothing has been done, and the command is executed. */
#ifndef SKUA_EXEC_DISPATCH_H
#define SKUA_EXEC_DISPATCH_H

#include "exec/call.h"
#include "exec/check.h"
#include "exec/client.h"
#include "exec/exec.h"
#include "exec/request.h"

/* Checks and executes (or queues, or makes wait) a request of the client. Afterwards CLIENT_PAUSED says that it
 * must be executed again later. */
void dispatch_request(struct client *client, struct run *run, struct request *request);

/* Whether what mostly is not the case is not: then of the checks before a request only those are left that look at the request, and
 * that of memory. Plain SETs (exec/plain.h) are executed without others than this. */
bool dispatch_is_unhindered(const struct client *client);

/* Makes of a client's request a call, for telling of it or executing it. Field by field where it lies: whoever copies it reads at
 * once what was written in pieces, and the processor waits for these to have reached the cache. */
ALWAYS_INLINE void dispatch_init_call(struct call *ret_call, struct client *client,
                                      const struct request *request)
{
    ret_call->exec = client->exec;
    ret_call->client = client;
    ret_call->command = request->command;
    ret_call->argv = request->argv;
    ret_call->argc = request->argc;
    ret_call->db = client->db;
    ret_call->out = &client->out;
    ret_call->key_hash = 0;
    ret_call->has_key_hash = false;
    ret_call->built = NULL;
    ret_call->taken = NULL;
    ret_call->sliced = NULL;
    ret_call->has_changed = false;
    ret_call->is_replaced = false;
}

/* Executes the next requests of the run, at most `count_max`, as far as they are a stretch (Z1 to Z4); `run` is the client's oldest pending
 * one. Returns how many, 0: the next one is for dispatch_request. The caller moves run->next on. */
unsigned dispatch_stretch(struct client *client, struct run *run, unsigned count_max);

/* Of a command that has just ended, and took so long: tells of it as is due, if it is. */
void dispatch_tell_long(struct call *call, uint64_t ns);

/* As dispatch_request for what is applied (exec/apply.h): nothing hinders it, and it is not sliced. Afterwards CLIENT_PAUSED says that it waits for
 * a key that is held, and must be executed again. Serves nobody. */
void dispatch_applied(struct client *client, struct request *request);

/* Whether what the call changes may become visible in several steps, so that it is to be bracketed (exec_begin_steps). */
bool dispatch_takes_steps_slow(const struct call *call);

/* Brackets the execution of a call, or of a slice of it: readers on other threads see all of a change or nothing. Returns what
 * the end is to be told. */
static inline bool dispatch_begin_steps(const struct call *call)
{
    const struct command *command = call->command;
    bool several =
        unlikely(!command->is_one_step && command->flags & CMD_WRITE) && dispatch_takes_steps_slow(call);
    if (unlikely(several))
        keyspace_begin_steps(call->exec->keyspace);
    check_steps_begin(call->exec);
    return several;
}

static inline void dispatch_end_steps(const struct call *call, bool several)
{
    check_steps_end(call);
    if (unlikely(several))
        keyspace_end_steps(call->exec->keyspace);
}

/* A command has ended that took `ns` in all: accounts for it. `errors` is what call->out had counted before. */
void exec_call_ended(struct call *call, uint32_t errors, uint64_t ns);

/* For the table of clients. */
static inline uint64_t dispatch_hash_id(uint64_t id)
{
    uint64_t hash = id * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

static inline bool dispatch_client_id_equal(const void *item, const void *key)
{
    return ((const struct client *)item)->id == *(const uint64_t *)key;
}

/* ---- client.c -------------------------------------------------------------------------------------- */

/* The client's reply will be looked at by exec_flush_output. */
static inline void client_mark_dirty(struct client *client)
{
    if (!list_is_listed(&client->in_dirty))
        list_append(&client->exec->output_dirty, &client->in_dirty);
}

/* The client will have something to be sent: in the chunk that the run has brought, if there is none yet. */
ALWAYS_INLINE void client_expect_reply(struct client *client, struct run *run)
{
    client_mark_dirty(client);
    client->active_ms = client->exec->now_ms;
    if (run->spare && !client->out.cursor) {
        reply_give_chunk(&client->out, run->spare);
        run->spare = NULL;
    }
}

/* Moves what was pushed to the client during its own request behind the reply: no reply mode drops it. */
static inline void client_take_deferred(struct client *client)
{
    if (unlikely(!reply_is_empty(&client->exec->deferred)))
        reply_move(&client->out, &client->exec->deferred);
}

/* Makes the client wait, in a list of whoever will call client_resume; its request will be executed again. */
void client_wait_in(struct client *client, struct list_node *waiting);

/* The client's pending requests go on at the end of the batch. */
void client_make_runnable(struct client *client);

/* Takes the client out of that list; it goes on at the end of the batch. */
void client_resume(struct client *client);

/* Ends the waiting of every client whose time has come, and CLIENT PAUSE's. */
void client_end_due_blocks(struct exec *exec);

/* The client is going: ends its waiting without a reply. */
void client_forget_block(struct client *client);

/* ---- exec.c, for durable.c -------------------------------------------------------------------------- */

/* Counts output that has not been sent, and closes the client if that is more than its limit. */
void client_count_output(struct client *client, uint64_t size);

/* Hands over output that has been counted, and gives the runs back behind it; with `drop` only the runs. */
void client_hand_over_held(struct client *client, struct chunk_list *bytes, struct run *runs, bool drop);

#endif
