/* The filters of CLIENT LIST and CLIENT KILL: parsing and matching.
 *
 * Principal entry points: client_filter_parse_list, client_filter_parse_kill, client_filter_visit.
 * Threads: executor only. */
#include "cmd/client_filter.h"

#include "base/alloc.h"
#include "base/num.h"
#include "config/config.h"
#include "exec/call.h"
#include "exec/permit.h"

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

/* Takes the ids behind words[*i] and leaves *i behind them. False after having answered with an error. */
static bool parse_ids(struct call *call, const struct slice *words, uint32_t count, uint32_t *i,
                      struct client_tests *tests)
{
    int64_t id;
    uint32_t at = *i + 1;
    tests->has_ids = true;
    if (!tests->ids)
        tests->ids = mem_try_alloc((size_t)count * sizeof *tests->ids);
    if (!tests->ids) {
        call_oom(call);
        return false;
    }
    for (; at < count && num_parse_i64(words[at], &id) && id > 0; at++)
        tests->ids[tests->id_count++] = (uint64_t)id;
    if (at == *i + 1) {
        reply_error(call->out, "ERR client-id should be greater than 0");
        return false;
    }
    *i = at;
    return true;
}

static bool parse_seconds(struct call *call, const char *name, struct slice word, int64_t *ret_s)
{
    if (!num_parse_i64(word, ret_s)) {
        reply_error(call->out, "ERR %s is not an integer or out of range", name);
        return false;
    }
    if (*ret_s <= 0) {
        reply_error(call->out, "ERR %s should be greater than 0", name);
        return false;
    }
    return true;
}

static bool parse_db(struct call *call, struct slice word, struct client_tests *tests)
{
    int64_t last = call->exec->config->databases - 1;
    tests->has_db = true;
    if (!num_parse_i64(word, &tests->db)) {
        reply_error(call->out, "ERR DB is not an integer or out of range");
        return false;
    }
    if (tests->db < 0 || tests->db > last) {
        reply_error(call->out, "ERR DB number should be between 0 and %lld", (long long)last);
        return false;
    }
    return true;
}

/* Letters of which each must be one of `known`. */
static bool parse_letters(struct call *call, const char *name, const char *known, struct slice word)
{
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] == '\0' || !strchr(known, word.data[i])) {
            reply_error(call->out, "ERR Unknown %s found in the provided filter: %.*s", name,
                        call_shown_size(word), word.data);
            return false;
        }
    }
    return true;
}

static bool parse_user(struct call *call, struct slice word, struct client_tests *filter)
{
    if (acl_find(call->exec->acl, word) == NULL) {
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

/* A test that has a word and nothing more to look at. */
static bool take_word(struct client_tests *tests, struct slice name, struct slice value)
{
    const struct {
        const char *name;
        bool *is_set;
        struct slice *word;
    } plain[] = {
        {"ADDR", &tests->has_address, &tests->address},
        {"LADDR", &tests->has_local_address, &tests->local_address},
        {"IP", &tests->has_ip, &tests->ip},
        {"NAME", &tests->has_name, &tests->name},
        {"LIB-NAME", &tests->has_library_name, &tests->library_name},
        {"LIB-VER", &tests->has_library_version, &tests->library_version},
    };
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++) {
        if (!slice_equal_nocase(name, plain[i].name))
            continue;
        *plain[i].is_set = true;
        *plain[i].word = value;
        return true;
    }
    return false;
}

/* Letters of CLIENT LIST's flags, those of other servers too. */
#define FLAG_LETTERS       "AbBcdeEiIMNOPrRStTuUx"
#define CAPABILITY_LETTERS "r"

/* One of the tests that can also be asked for the other way round. ST_NOT_FOUND: it is none; ST_INVALID: answered with an error. */
static enum status parse_test(struct call *call, struct slice name, struct slice value,
                              struct client_tests *tests)
{
    bool is_valid = true;
    if (take_word(tests, name, value))
        return ST_OK;
    if (slice_equal_nocase(name, "TYPE")) {
        is_valid = parse_type(call, value, &tests->type);
    } else if (slice_equal_nocase(name, "USER")) {
        is_valid = parse_user(call, value, tests);
    } else if (slice_equal_nocase(name, "DB")) {
        is_valid = parse_db(call, value, tests);
    } else if (slice_equal_nocase(name, "FLAGS")) {
        tests->has_flags = true;
        tests->flags = value;
        is_valid = parse_letters(call, "flags", FLAG_LETTERS, value);
    } else if (slice_equal_nocase(name, "CAPA")) {
        tests->has_capabilities = true;
        is_valid = parse_letters(call, "capa", CAPABILITY_LETTERS, value);
    } else {
        return ST_NOT_FOUND;
    }
    return is_valid ? ST_OK : ST_INVALID;
}

/* Takes one filter with its value; *i is left behind it. False after having answered with an error. */
static bool parse_filter(struct call *call, const struct slice *words, uint32_t count, uint32_t *i,
                         struct client_filter *filter)
{
    if (count - *i < 2) {
        call_syntax_error(call);
        return false;
    }
    struct slice name = words[*i], value = words[*i + 1];
    bool is_not = name.size > 4 && slice_equal_nocase((struct slice){name.data, 4}, "NOT-");
    struct client_tests *tests = is_not ? &filter->unwanted : &filter->wanted;
    if (is_not)
        name = (struct slice){name.data + 4, name.size - 4};
    if (slice_equal_nocase(name, "ID"))
        return parse_ids(call, words, count, i, tests);
    *i += 2;
    if (!is_not && slice_equal_nocase(name, "MAXAGE"))
        return parse_seconds(call, "maxage", value, &filter->age_min_s);
    if (!is_not && slice_equal_nocase(name, "IDLE"))
        return parse_seconds(call, "idle", value, &filter->idle_min_s);
    if (!is_not && slice_equal_nocase(name, "SKIPME"))
        return parse_skip_me(call, value, filter);
    enum status status = parse_test(call, name, value, tests);
    if (status == ST_NOT_FOUND)
        call_syntax_error(call);
    return status == ST_OK;
}

static bool parse_filters(struct call *call, const struct slice *words, uint32_t count,
                          struct client_filter *filter)
{
    uint32_t i = 0;
    while (i < count) {
        if (!parse_filter(call, words, count, &i, filter)) {
            client_filter_done(filter);
            return false;
        }
    }
    return true;
}

/* ID alone with something that is no number has an answer of its own, as before there were other filters. */
static bool is_id_alone(const struct slice *words, uint32_t count)
{
    int64_t id;
    return count == 2 && slice_equal_nocase(words[0], "ID") && !num_parse_i64(words[1], &id);
}

bool client_filter_parse_list(struct call *call, const struct slice *words, uint32_t count,
                              struct client_filter *ret_filter)
{
    *ret_filter = (struct client_filter){0};
    if (is_id_alone(words, count)) {
        reply_error(call->out, "ERR Invalid client ID");
        return false;
    }
    return parse_filters(call, words, count, ret_filter);
}

bool client_filter_parse_kill(struct call *call, const struct slice *words, uint32_t count,
                              struct client_filter *ret_filter)
{
    *ret_filter = (struct client_filter){.skip = call->client};
    return parse_filters(call, words, count, ret_filter);
}

void client_filter_done(struct client_filter *filter)
{
    mem_free(filter->wanted.ids);
    mem_free(filter->unwanted.ids);
    filter->wanted.ids = filter->unwanted.ids = NULL;
}

/* ---- Matching ------------------------------------------------------------------------------------- */

static bool is_word(struct slice word, const char *text)
{
    return slice_equal(word, slice_from_string(text ? text : ""));
}

/* The address without its port, and without the brackets of IPv6. */
static bool has_ip(const struct client_facts *facts, struct slice ip)
{
    struct slice peer = slice_from_string(facts->peer);
    while (peer.size > 0 && peer.data[peer.size - 1] != ':')
        peer.size--;
    peer.size -= peer.size > 0;
    if (peer.size >= 2 && peer.data[0] == '[')
        peer = (struct slice){peer.data + 1, peer.size - 2};
    return slice_equal(peer, ip);
}

static bool has_flags(const struct client_facts *facts, struct slice letters)
{
    for (size_t i = 0; i < letters.size; i++)
        if (strchr(facts->flags, letters.data[i]) == NULL)
            return false;
    return true;
}

static bool has_id(const struct client_tests *tests, uint64_t id)
{
    for (uint32_t i = 0; i < tests->id_count; i++)
        if (tests->ids[i] == id)
            return true;
    return false;
}

/* Whether every test that is set has the wanted result. */
static bool all_are(const struct client_tests *tests, const struct client_facts *facts, bool wanted)
{
    if (tests->has_ids && has_id(tests, facts->id) != wanted)
        return false;
    if (tests->type && (strcmp(tests->type, facts->type) == 0) != wanted)
        return false;
    if (tests->has_address && is_word(tests->address, facts->peer) != wanted)
        return false;
    if (tests->has_local_address && is_word(tests->local_address, facts->local) != wanted)
        return false;
    if (tests->has_ip && has_ip(facts, tests->ip) != wanted)
        return false;
    if (tests->has_user && is_word(tests->user, facts->user) != wanted)
        return false;
    if (tests->has_name && is_word(tests->name, facts->name) != wanted)
        return false;
    if (tests->has_library_name && is_word(tests->library_name, facts->library_name) != wanted)
        return false;
    if (tests->has_library_version && is_word(tests->library_version, facts->library_version) != wanted)
        return false;
    if (tests->has_flags && has_flags(facts, tests->flags) != wanted)
        return false;
    if (tests->has_capabilities && wanted) /* no client has any */
        return false;
    return !tests->has_db || (facts->db == tests->db) == wanted;
}

bool client_filter_passes(const struct client_filter *filter, const struct client_facts *facts)
{
    return all_are(&filter->wanted, facts, true) && all_are(&filter->unwanted, facts, false) &&
           facts->age_s >= filter->age_min_s && facts->idle_s >= filter->idle_min_s;
}

static bool matches(const struct client_filter *filter, const struct client *client)
{
    if (client == filter->skip || (client->flags & CLIENT_CLOSING && client->close_how == CLOSE_NOW))
        return false;
    struct buf flags = {0};
    if (filter->wanted.has_flags || filter->unwanted.has_flags)
        client_describe_flags(client, &flags);
    bool passes =
        client_filter_passes(filter, &(struct client_facts){
                                         .id = client->id,
                                         .type = client_type_name(client),
                                         .peer = client->shared->peer,
                                         .local = client->shared->local,
                                         .user = permit_user_name(client),
                                         .name = client->name,
                                         .library_name = client->library_name,
                                         .library_version = client->library_version,
                                         .flags = buf_string(&flags),
                                         .db = (int64_t)client->db->number,
                                         .age_s = (client->exec->now_ms - client->created_ms) / 1000,
                                         .idle_s = client_idle_ms(client) / 1000,
                                     });
    buf_done(&flags);
    return passes;
}

void client_filter_visit(const struct client_filter *filter, struct exec *exec,
                         void (*visit)(void *context, struct client *client), void *context)
{
    const struct client_tests *wanted = &filter->wanted;
    if (wanted->has_ids) {
        for (uint32_t i = 0; i < wanted->id_count; i++) {
            struct client *client = client_lookup(exec, wanted->ids[i]);
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
