/* An executor without commands and connections: enough for what only needs clients with a reply to write into. */
#ifndef SKUA_TESTS_UNIT_EXEC_FAKE_EXEC_H
#define SKUA_TESTS_UNIT_EXEC_FAKE_EXEC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "exec/client.h"
#include "exec/exec.h"
#include "exec/pubsub.h"

#define FAKE_CLIENTS 4

struct fake_exec {
    struct exec exec;
    struct keyspace keyspace;
    struct chunk_pool chunks;
    struct client clients[FAKE_CLIENTS];
    struct conn_shared shared[FAKE_CLIENTS];
};

static inline void fake_exec_init(struct fake_exec *fake)
{
    *fake = (struct fake_exec){.keyspace = {.hash_seed = 7}};
    chunk_pool_init(&fake->chunks, 4);
    fake->exec.keyspace = &fake->keyspace;
    list_init(&fake->exec.output_dirty);
    for (int i = 0; i < FAKE_CLIENTS; i++) {
        struct client *client = &fake->clients[i];
        client->exec = &fake->exec;
        client->id = (uint64_t)i + 1;
        client->shared = &fake->shared[i];
        reply_init(&client->out, &fake->chunks, 2);
    }
    fake->exec.pubsub = pubsub_new(&fake->exec);
}

static inline void fake_exec_done(struct fake_exec *fake)
{
    for (int i = 0; i < FAKE_CLIENTS; i++) {
        pubsub_client_gone(fake->exec.pubsub, &fake->clients[i]);
        reply_clear(&fake->clients[i].out);
    }
    pubsub_free(fake->exec.pubsub);
    chunk_pool_done(&fake->chunks);
}

/* Takes all that the client has been sent. Free with buf_done. */
static inline struct buf fake_exec_take(struct fake_exec *fake, struct client *client)
{
    struct chunk_list list = {0};
    struct buf bytes = {0};
    reply_take(&client->out, &list);
    for (const struct chunk *chunk = list.head; chunk; chunk = chunk->next)
        buf_append(&bytes, chunk->data + chunk->start, chunk->end - chunk->start);
    chunk_list_clear(&list, &fake->chunks);
    return bytes;
}

/* The client has been sent exactly this. */
static inline void fake_exec_expect(struct fake_exec *fake, struct client *client, const char *expected)
{
    struct buf bytes = fake_exec_take(fake, client);
    assert_string_equal(buf_string(&bytes), expected);
    buf_done(&bytes);
}

#endif
