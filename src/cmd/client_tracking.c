/* CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR: what the words say, and which of them go together.
 *
 * The errors and their order are those of the protocol.
 * See also: exec/tracking.h (what it does). Threads: executor only. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "exec/call.h"
#include "exec/tracking.h"
#include "gen/args.h"

/* ---- Words ---------------------------------------------------------------------------------------- */

struct tracking_words {
    struct tracking_options options;
    struct slice *prefixes; /* room for as many as there are words */
};

static bool parse_redirect(struct call *call, struct slice word, struct tracking_options *options)
{
    int64_t id;
    if (options->redirect != 0) {
        reply_error(call->out, "ERR A client can only redirect to a single other client");
        return false;
    }
    if (!num_parse_i64(word, &id)) {
        call_not_integer(call);
        return false;
    }
    if (id <= 0 || client_lookup(call->exec, (uint64_t)id) == NULL) {
        reply_error(call->out, "ERR The client ID you want redirect to does not exist");
        return false;
    }
    options->redirect = (uint64_t)id;
    return true;
}

static unsigned mode_of_word(struct slice word)
{
    static const struct {
        const char *name;
        unsigned mode;
    } names[] = {
        {"bcast", TRACKING_BROADCAST},
        {"optin", TRACKING_OPT_IN},
        {"optout", TRACKING_OPT_OUT},
        {"noloop", TRACKING_NO_LOOP},
    };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (slice_equal_nocase(word, names[i].name))
            return names[i].mode;
    return 0;
}

/* The options behind on or off. False after an error. */
static bool parse_options(struct call *call, const struct slice *words, uint32_t count,
                          struct tracking_words *to)
{
    for (uint32_t i = 1; i < count; i++) {
        bool has_value = i + 1 < count;
        unsigned mode = mode_of_word(words[i]);
        if (mode != 0) {
            to->options.modes |= mode;
        } else if (has_value && slice_equal_nocase(words[i], "redirect")) {
            if (!parse_redirect(call, words[++i], &to->options))
                return false;
        } else if (has_value && slice_equal_nocase(words[i], "prefix")) {
            to->prefixes[to->options.prefix_count++] = words[++i];
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    to->options.prefixes = to->prefixes;
    return true;
}

/* ---- Which options go together -------------------------------------------------------------------- */

/* What the options are at odds with: each other, or how the client tracks already. NULL: nothing. */
static const char *conflict_of(const struct client *client, const struct tracking_options *options)
{
    unsigned modes = options->modes;
    unsigned opt_in_and_out = TRACKING_OPT_IN | TRACKING_OPT_OUT;
    unsigned before = client->tracking != NULL ? tracking_modes(client) : modes;
    if (options->prefix_count > 0 && !(modes & TRACKING_BROADCAST))
        return "ERR PREFIX option requires BCAST mode to be enabled";
    if ((before ^ modes) & TRACKING_BROADCAST)
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
               "re-enabling it with a different mode.";
    if (modes & TRACKING_BROADCAST && modes & opt_in_and_out)
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    if ((modes & opt_in_and_out) == opt_in_and_out)
        return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    if ((modes & TRACKING_OPT_IN && before & TRACKING_OPT_OUT) ||
        (modes & TRACKING_OPT_OUT && before & TRACKING_OPT_IN))
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
               "re-enabling it with a different mode.";
    return NULL;
}

/* ---- Prefixes that overlap ------------------------------------------------------------------------ */

/* A prefix that is asked for, or one that the client has. */
struct numbered_prefix {
    struct slice name;
    uint32_t number; /* among those that are asked for; UINT32_MAX: the client has it */
};

static bool overlap(struct slice a, struct slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    return size == 0 || memcmp(a.data, b.data, size) == 0;
}

static int compare_prefixes(const void *left, const void *right)
{
    const struct slice a = ((const struct numbered_prefix *)left)->name;
    const struct slice b = ((const struct numbered_prefix *)right)->name;
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* The first of those that are asked for which overlaps with any other; UINT32_MAX: none does. In order, whatever begins with a prefix
 * follows it at once. */
static uint32_t first_overlapping(struct numbered_prefix *all, uint32_t count)
{
    uint32_t first = UINT32_MAX, shortest = 0;
    qsort(all, count, sizeof *all, compare_prefixes);
    for (uint32_t i = 1; i < count; i++) {
        if (!overlap(all[shortest].name, all[i].name)) {
            shortest = i;
            continue;
        }
        if (all[i].number < first)
            first = all[i].number;
        if (all[shortest].number < first)
            first = all[shortest].number;
    }
    return first;
}

static void refuse_overlap(struct call *call, struct slice prefix, const char *which, struct slice other)
{
    reply_error(call->out,
                "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client must not "
                "overlap.",
                call_shown_size(prefix), prefix.data, which, call_shown_size(other), other.data);
}

/* Says with which other one the prefix overlaps: one that the client has, else the next one that is asked for. */
static void tell_overlap(struct call *call, const struct tracking_options *options, uint32_t number)
{
    struct slice prefix = options->prefixes[number];
    uint32_t existing = call->client->tracking != NULL ? tracking_prefix_count(call->client) : 0;
    for (uint32_t i = 0; i < existing; i++) {
        struct slice other = tracking_prefix(call->client, i);
        if (overlap(prefix, other)) {
            refuse_overlap(call, prefix, "an existing", other);
            return;
        }
    }
    uint32_t other = number + 1;
    while (!overlap(prefix, options->prefixes[other]))
        other++;
    refuse_overlap(call, prefix, "another provided", options->prefixes[other]);
}

/* False after an error. */
static bool check_prefixes(struct call *call, const struct tracking_options *options)
{
    uint32_t existing = call->client->tracking != NULL ? tracking_prefix_count(call->client) : 0;
    uint32_t count = 0;
    if (options->prefix_count == 0)
        return true;
    struct numbered_prefix *all = mem_try_alloc(((size_t)existing + options->prefix_count) * sizeof *all);
    if (all == NULL) {
        call_oom(call);
        return false;
    }
    for (uint32_t i = 0; i < existing; i++)
        all[count++] = (struct numbered_prefix){tracking_prefix(call->client, i), UINT32_MAX};
    for (uint32_t i = 0; i < options->prefix_count; i++)
        all[count++] = (struct numbered_prefix){options->prefixes[i], i};
    uint32_t first = first_overlapping(all, count);
    mem_free(all);
    if (first == UINT32_MAX)
        return true;
    tell_overlap(call, options, first);
    return false;
}

/* ---- CLIENT TRACKING ------------------------------------------------------------------------------ */

static void switch_on(struct call *call, const struct tracking_options *options)
{
    const char *conflict = conflict_of(call->client, options);
    if (conflict != NULL) {
        reply_error(call->out, "%s", conflict);
        return;
    }
    if (!check_prefixes(call, options))
        return;
    if (tracking_enable(call->client, options))
        reply_ok(call->out);
    else
        call_oom(call);
}

void cmd_client_tracking(struct call *call, const struct args_client_tracking *args)
{
    struct tracking_words words = {.prefixes = mem_try_alloc(args->words_count * sizeof(struct slice))};
    if (words.prefixes == NULL) {
        call_oom(call);
        return;
    }
    if (parse_options(call, args->words, args->words_count, &words)) {
        if (slice_equal_nocase(args->words[0], "on")) {
            switch_on(call, &words.options);
        } else if (slice_equal_nocase(args->words[0], "off")) {
            tracking_disable(call->client);
            reply_ok(call->out);
        } else {
            call_syntax_error(call);
        }
    }
    mem_free(words.prefixes);
}

/* ---- The others ----------------------------------------------------------------------------------- */

void cmd_client_caching(struct call *call, const struct args_client_caching *args)
{
    struct client *client = call->client;
    bool says_yes = args->mode == ARGS_CLIENT_CACHING_MODE_YES;
    if (client->tracking == NULL)
        reply_error(call->out,
                    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN "
                    "or OPTOUT mode enabled");
    else if (says_yes && !(tracking_modes(client) & TRACKING_OPT_IN))
        reply_error(call->out,
                    "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    else if (!says_yes && !(tracking_modes(client) & TRACKING_OPT_OUT))
        reply_error(call->out,
                    "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    else {
        tracking_say_caching(client);
        reply_ok(call->out);
    }
}

/* -1: it does not track, 0: nowhere. */
static int64_t redirect_of(const struct client *client)
{
    return client->tracking != NULL ? (int64_t)tracking_redirect(client) : -1;
}

void cmd_client_getredir(struct call *call, const struct args_client_getredir *args)
{
    reply_int(call->out, redirect_of(call->client));
}

static void reply_flags(struct reply *out, const struct client *client)
{
    bool tracks = client->tracking != NULL;
    unsigned modes = tracks ? tracking_modes(client) : 0;
    bool caching = tracks && tracking_says_caching(client);
    const struct {
        bool is_set;
        const char *name;
    } flags[] = {
        {!tracks, "off"},
        {tracks, "on"},
        {modes & TRACKING_BROADCAST, "bcast"},
        {modes & TRACKING_OPT_IN, "optin"},
        {modes & TRACKING_OPT_IN && caching, "caching-yes"},
        {modes & TRACKING_OPT_OUT, "optout"},
        {modes & TRACKING_OPT_OUT && caching, "caching-no"},
        {modes & TRACKING_NO_LOOP, "noloop"},
        {tracks && tracking_is_broken(client), "broken_redirect"},
    };
    struct reply_open set = reply_open(out);
    uint64_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        if (!flags[i].is_set)
            continue;
        reply_bulk_string(out, flags[i].name);
        count++;
    }
    reply_close(out, set, REPLY_SET, count);
}

void cmd_client_trackinginfo(struct call *call, const struct args_client_trackinginfo *args)
{
    const struct client *client = call->client;
    struct reply *out = call->out;
    uint32_t prefix_count = client->tracking != NULL ? tracking_prefix_count(client) : 0;
    reply_map(out, 3);
    reply_bulk_string(out, "flags");
    reply_flags(out, client);
    reply_bulk_string(out, "redirect");
    reply_int(out, redirect_of(client));
    reply_bulk_string(out, "prefixes");
    reply_array(out, prefix_count);
    for (uint32_t i = 0; i < prefix_count; i++)
        reply_bulk(out, tracking_prefix(client, i));
}
