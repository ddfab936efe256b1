/* Which clients CLIENT LIST and CLIENT KILL mean. Executor only. */
#ifndef SKUA_CMD_CLIENT_FILTER_H
#define SKUA_CMD_CLIENT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct call;
struct client;
struct exec;

/* What can be asked of a client. Slices are the call's arguments. */
struct client_tests {
    bool has_ids;
    uint64_t *ids; /* owned */
    uint32_t id_count;
    const char *type; /* as client_type_name says it */
    bool has_address;
    struct slice address;
    bool has_local_address;
    struct slice local_address;
    bool has_ip;
    struct slice ip;
    bool has_user;
    struct slice user;
    bool has_name;
    struct slice name;
    bool has_library_name;
    struct slice library_name;
    bool has_library_version;
    struct slice library_version;
    bool has_flags;
    struct slice flags; /* letters, all of which it must have */
    bool has_capabilities;
    bool has_db;
    int64_t db;
};

/* A client must pass every test of `wanted` that is set, and none of `unwanted` (the filters that begin with NOT-). */
struct client_filter {
    struct client_tests wanted;
    struct client_tests unwanted;
    int64_t age_min_s;
    int64_t idle_min_s;
    const struct client *skip;
};

/* What a client is. Texts may be NULL where there are none, `type`, `peer`, `local` and `flags` not. */
struct client_facts {
    uint64_t id;
    const char *type;
    const char *peer;
    const char *local;
    const char *user;
    const char *name;
    const char *library_name;
    const char *library_version;
    const char *flags; /* letters */
    int64_t db;
    int64_t age_s;
    int64_t idle_s;
};

/* Whatever `skip` is. */
bool client_filter_passes(const struct client_filter *filter, const struct client_facts *facts);

/* The words behind LIST, and those behind KILL. False after having answered with an error; otherwise call client_filter_done. */
bool client_filter_parse_list(struct call *call, const struct slice *words, uint32_t count,
                              struct client_filter *ret_filter);
bool client_filter_parse_kill(struct call *call, const struct slice *words, uint32_t count,
                              struct client_filter *ret_filter);
void client_filter_done(struct client_filter *filter);

/* Calls `visit` for each client that passes: by age, or in the order of the ids where they are given. Clients that
 * have been told to go are passed over. The visitor may close the client. */
void client_filter_visit(const struct client_filter *filter, struct exec *exec,
                         void (*visit)(void *context, struct client *client), void *context);

#endif
