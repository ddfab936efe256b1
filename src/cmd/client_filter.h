/* Which clients CLIENT LIST and CLIENT KILL mean. Executor only. */
#ifndef SKUA_CMD_CLIENT_FILTER_H
#define SKUA_CMD_CLIENT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct args_client_list;
struct call;
struct client;
struct exec;

/* A client must pass every test that is set. Slices are the call's arguments. */
struct client_filter {
    bool has_ids;
    uint64_t *ids; /* owned */
    uint32_t id_count;
    const char *type; /* as client_type_name says it */
    bool has_address;
    struct slice address;
    bool has_local_address;
    struct slice local_address;
    bool has_user;
    struct slice user;
    int64_t age_min_s;
    const struct client *skip;
};

/* The options of LIST, and the words behind KILL. False after having answered with an error; otherwise call client_filter_done. */
bool client_filter_parse_list(struct call *call, const struct args_client_list *args,
                              struct client_filter *ret_filter);
bool client_filter_parse_kill(struct call *call, const struct slice *words, uint32_t count,
                              struct client_filter *ret_filter);
void client_filter_done(struct client_filter *filter);

/* Calls `visit` for each client that passes: by age, or in the order of the ids where they are given. Clients that
 * have been told to go are passed over. The visitor may close the client. */
void client_filter_visit(const struct client_filter *filter, struct exec *exec,
                         void (*visit)(void *context, struct client *client), void *context);

#endif
