/* The filters of CLIENT LIST and CLIENT KILL: parsing and matching.
 *
 * Principal entry points: client_filter_parse_list, client_filter_parse_kill, client_filter_visit.
 * Threads: executor only. */
#include "cmd/client_filter.h"

#include "base/alloc.h"
#include "base/num.h"
#include "exec/call.h"
#include "gen/args.h"

/* ---- Parsing -------------------------------------------------------------------------------------- */

/* False after having answered with an error. Types that no client here can have are accepted and match none. */
static bool parse_type(struct call *call, struct slice word, const char **ret_type)
{
    static const struct {
        const char *word;
        const char *type;
    } types[] = {
        {"normal", "normal"}, {"pubsub", "pubsub"}, {"replica", "replica"},
        {"slave", "replica"}, {"master", "master"}, {"primary", "master"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (slice_equal_nocase(word, types[i].word)) {
            *ret_type = types[i].type;
            return true;
        }
    }
    reply_error(call->out, "ERR Unknown client type '%.*s'", call_shown_size(word), word.data);
    return false;
}

/* Makes room for as many ids as there are words. False after having answered with an error. */
static bool reserve_ids(struct call *call, uint32_t count, struct client_filter *filter)
{
    filter->has_ids = true;
    if (filter->ids)
        return true;
    filter->ids = mem_try_alloc((size_t)count * sizeof *filter->ids);
    if (!filter->ids)
        call_oom(call);
    return filter->ids != NULL;
}

/* Takes the ids from words[i] on, and returns the index of the first word that is none. */
static uint32_t take_ids(const struct slice *words, uint32_t count, uint32_t i, struct client_filter *filter)
{
    int64_t id;
    while (i < count && num_parse_i64(words[i], &id) && id > 0) {
        filter->ids[filter->id_count++] = (uint64_t)id;
        i++;
    }
    return i;
}

static bool parse_list_ids(struct call *call, const struct slice *words, uint32_t count,
                           struct client_filter *filter)
{
    if (!reserve_ids(call, count, filter))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        int64_t id;
        if (!num_parse_i64(words[i], &id)) {
            reply_error(call->out, "ERR Invalid client ID");
            return false;
        }
        if (id > 0)
            filter->ids[filter->id_count++] = (uint64_t)id;
    }
    return true;
}

bool client_filter_parse_list(struct call *call, const struct args_client_list *args,
                              struct client_filter *ret_filter)
{
    *ret_filter = (struct client_filter){0};
    if (args->has_client_type && !parse_type(call, args->client_type, &ret_filter->type))
        return false;
    if (args->client_id_count == 0 ||
        parse_list_ids(call, args->client_id, args->client_id_count, ret_filter))
        return true;
    client_filter_done(ret_filter);
    return false;
}

static bool parse_age(struct call *call, struct slice word, int64_t *ret_age_s)
{
    if (!num_parse_i64(word, ret_age_s)) {
        reply_error(call->out, "ERR maxage is not an integer or out of range");
        return false;
    }
    if (*ret_age_s <= 0) {
        reply_error(call->out, "ERR maxage should be greater than 0");
        return false;
    }
    return true;
}

/* This version knows one user. */
static bool parse_user(struct call *call, struct slice word, struct client_filter *filter)
{
    if (!slice_equal(word, SLICE("default"))) {
        reply_error(call->out, "ERR No such user '%.*s'", call_shown_size(word), word.data);
        return false;
    }
    filter->has_user = true;
    filter->user = word;
    return true;
}

static bool parse_skip_me(struct call *call, struct slice word, struct client_filter *filter)
{
    if (slice_equal_nocase(word, "YES")) {
        filter->skip = call->client;
    } else if (slice_equal_nocase(word, "NO")) {
        filter->skip = NULL;
    } else {
        call_syntax_error(call);
        return false;
    }
    return true;
}

/* Takes one filter with its value; *i is left behind it. False after having answered with an error. */
static bool parse_kill_option(struct call *call, const struct slice *words, uint32_t count, uint32_t *i,
                              struct client_filter *filter)
{
    if (count - *i < 2) {
        call_syntax_error(call);
        return false;
    }
    struct slice word = words[*i];
    struct slice value = words[*i + 1];
    if (slice_equal_nocase(word, "ID")) {
        if (!reserve_ids(call, count, filter))
            return false;
        uint32_t next = take_ids(words, count, *i + 1, filter);
        if (next == *i + 1) {
            reply_error(call->out, "ERR client-id should be greater than 0");
            return false;
        }
        *i = next;
        return true;
    }
    *i += 2;
    if (slice_equal_nocase(word, "MAXAGE"))
        return parse_age(call, value, &filter->age_min_s);
    if (slice_equal_nocase(word, "TYPE"))
        return parse_type(call, value, &filter->type);
    if (slice_equal_nocase(word, "USER"))
        return parse_user(call, value, filter);
    if (slice_equal_nocase(word, "SKIPME"))
        return parse_skip_me(call, value, filter);
    if (slice_equal_nocase(word, "ADDR")) {
        filter->has_address = true;
        filter->address = value;
        return true;
    }
    if (slice_equal_nocase(word, "LADDR")) {
        filter->has_local_address = true;
        filter->local_address = value;
        return true;
    }
    call_syntax_error(call);
    return false;
}

bool client_filter_parse_kill(struct call *call, const struct slice *words, uint32_t count,
                              struct client_filter *ret_filter)
{
    *ret_filter = (struct client_filter){.skip = call->client};
    uint32_t i = 0;
    while (i < count) {
        if (!parse_kill_option(call, words, count, &i, ret_filter)) {
            client_filter_done(ret_filter);
            return false;
        }
    }
    return true;
}

void client_filter_done(struct client_filter *filter)
{
    mem_free(filter->ids);
    filter->ids = NULL;
}

/* ---- Matching ------------------------------------------------------------------------------------- */

static bool matches(const struct client_filter *filter, const struct client *client)
{
    if (client->flags & CLIENT_CLOSING && client->close_how == CLOSE_NOW)
        return false;
    if (client == filter->skip)
        return false;
    if (filter->type && strcmp(filter->type, client_type_name(client)) != 0)
        return false;
    if (filter->has_address && !slice_equal(filter->address, slice_from_string(client->shared->peer)))
        return false;
    if (filter->has_local_address &&
        !slice_equal(filter->local_address, slice_from_string(client->shared->local)))
        return false;
    if (filter->has_user && !slice_equal(filter->user, slice_from_string(client->user)))
        return false;
    return (client->exec->now_ms - client->created_ms) / 1000 >= filter->age_min_s;
}

void client_filter_visit(const struct client_filter *filter, struct exec *exec,
                         void (*visit)(void *context, struct client *client), void *context)
{
    if (filter->has_ids) {
        for (uint32_t i = 0; i < filter->id_count; i++) {
            struct client *client = client_lookup(exec, filter->ids[i]);
            if (client && matches(filter, client))
                visit(context, client);
        }
        return;
    }
    list_for_each(&exec->clients, node)
    {
        struct client *client = list_entry(node, struct client, in_clients);
        if (matches(filter, client))
            visit(context, client);
    }
}
