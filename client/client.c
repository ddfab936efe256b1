/* Clients: how they are made, what can be asked of them, their end.
 *
 * Principal entry points: skua_options_init, skua_connect, skua_open, skua_close.
 * Threads: the client's. */
#include <string.h>

#include "client/client.h"
#include "client/memory.h"

#define CONNECT_TIMEOUT_MS_DEFAULT     5000
#define KEEPALIVE_S_DEFAULT            15
#define RECONNECT_DELAY_MS_DEFAULT     100
#define RECONNECT_DELAY_MAX_MS_DEFAULT 10000
#define PENDING_MAX_DEFAULT            ((size_t)1 << 24)
#define OUTPUT_MAX_DEFAULT             ((size_t)1 << 30)
#define RECEIVE_SIZE_FIRST             ((size_t)16 << 10)

void skua_options_init(struct skua_options *options)
{
    *options = (struct skua_options){
        .struct_size = sizeof(*options),
        .connect_timeout_ms = CONNECT_TIMEOUT_MS_DEFAULT,
        .command_timeout_ms = SKUA_NO_TIMEOUT,
        .db = -1,
        .keepalive_s = KEEPALIVE_S_DEFAULT,
        .reconnect_delay_ms = RECONNECT_DELAY_MS_DEFAULT,
        .reconnect_delay_max_ms = RECONNECT_DELAY_MAX_MS_DEFAULT,
        .pending_max = PENDING_MAX_DEFAULT,
        .output_max = OUTPUT_MAX_DEFAULT,
    };
}

/* ---- Options and URL ---------------------------------------------------------------------------------------- */

/* The caller's options, with defaults for those that his version of the headers does not have. False: they were never
 * initialised. */
static bool read_options(struct skua_options *options, const struct skua_options *given)
{
    skua_options_init(options);
    if (given == NULL)
        return true;
    if (given->struct_size == 0)
        return false;
    size_t size = given->struct_size < sizeof(*options) ? given->struct_size : sizeof(*options);
    memcpy(options, given, size);
    options->struct_size = sizeof(*options);
    return true;
}

static void pass_string(const char **string, char **space)
{
    if (*string == NULL)
        return;
    size_t size = strlen(*string) + 1;
    *string = memcpy(*space, *string, size);
    *space += size;
}

/* Puts the options' strings, which are the caller's, into a block of the client's own. */
static bool copy_strings(struct skua_client *client)
{
    struct skua_options *options = &client->options;
    const char **strings[] = {&options->user, &options->password, &options->name, &options->source_address};
    size_t size = 1;
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
        size += *strings[i] != NULL ? strlen(*strings[i]) + 1 : 0;
    client->strings = client_allocate(&client->allocator, size);
    if (client->strings == NULL)
        return false;
    char *space = client->strings;
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
        pass_string(strings[i], &space);
    return true;
}

/* What the options leave open comes from the URL. */
static void merge_url(struct skua_options *options, const struct skua_url *url)
{
    if (options->user == NULL)
        options->user = url->user;
    if (options->password == NULL)
        options->password = url->password;
    if (options->name == NULL)
        options->name = url->name;
    if (options->db < 0)
        options->db = (int)url->db;
    if (options->protocol == 0)
        options->protocol = url->protocol != 0 ? (int)url->protocol : 2;
    if (options->pending_max > PENDING_MAX)
        options->pending_max = PENDING_MAX;
}

static enum skua_status check_options(const struct skua_options *options, struct fault *fault)
{
    if (options->protocol != 2 && options->protocol != 3)
        return fault_set(fault, SKUA_ERR_USE, "protocol %d: there are 2 and 3", options->protocol);
    if (options->user != NULL && options->password == NULL)
        return fault_set(fault, SKUA_ERR_USE, "user %.100s: without a password", options->user);
    if (options->reconnect_max < -1)
        return fault_set(fault, SKUA_ERR_USE, "reconnect_max %d: -1 is no limit", options->reconnect_max);
    return SKUA_OK;
}

/* Sets the client up for the URL. Otherwise `fault` says what is wrong with it or the options. */
static enum skua_status configure(struct skua_client *client, const char *url, bool options_given)
{
    struct fault *fault = &client->fault;
    if (!options_given)
        return fault_set(fault, SKUA_ERR_USE, "the options were not initialised with skua_options_init");
    if (url == NULL)
        return fault_set(fault, SKUA_ERR_URL, "no URL");
    const char *problem;
    size_t offset;
    enum skua_status status = skua_url_parse(url, &client->url, &problem, &offset);
    if (status != SKUA_OK) /* without the URL itself: it may hold a password */
        return fault_set(fault, status, "URL: %s (at byte %zu)", problem, offset);
    const struct stream_actions *actions = stream_actions_of(client->url.scheme);
    actions->describe(&client->url, client->address, sizeof(client->address));
    if (actions->unsupported != NULL)
        return fault_set(fault, SKUA_ERR_UNSUPPORTED, "%s", actions->unsupported);
    merge_url(&client->options, &client->url);
    status = check_options(&client->options, fault);
    if (status == SKUA_OK)
        client->actions = actions;
    return status;
}

/* ---- Life --------------------------------------------------------------------------------------------------- */

static void destroy(struct skua_client *client)
{
    client->closing = true;
    client->calls++; /* callbacks may still ask it things */
    if (client->reader != NULL) {
        client_drop_all(client, SKUA_ERR_CLOSED);
        client_notify_watch(client);
        client_deliver_failures(client);
    }
    struct skua_allocator allocator = client->allocator;
    pending_done(&client->pending, &allocator);
    results_done(&client->results, &allocator);
    output_done(&client->output, &allocator);
    handshake_done(&client->handshake, &allocator);
    skua_reader_free(client->reader);
    client_release(&allocator, client->strings);
    client_release(&allocator, client);
}

/* A client that connects, or one in FAILED with the reason. NULL without memory, or with half an allocator. */
static struct skua_client *create(const char *url, const struct skua_options *given)
{
    struct skua_options options;
    bool options_given = read_options(&options, given);
    if (!options_given)
        skua_options_init(&options);
    struct skua_allocator allocator;
    if (!client_allocator_set(&allocator, options.allocator))
        return NULL;
    struct skua_client *client = client_allocate_zero(&allocator, 1, sizeof(*client));
    if (client == NULL)
        return NULL;
    client->allocator = allocator;
    client->options = options;
    client->options.allocator = NULL; /* `allocator` is a copy of it */
    client->command_timeout_ms = options.command_timeout_ms;
    client->receive_size = RECEIVE_SIZE_FIRST;
    client->watched = (struct client_watch){.descriptor = -1, .moment_ms = CLOCK_NEVER};
    client->reader = skua_reader_new(&options.limits, &allocator);
    pending_init(&client->pending, options.reconnect_max != 0);
    retry_init(&client->retry, options.reconnect_max, options.reconnect_delay_ms,
               options.reconnect_delay_max_ms);
    if (client->reader == NULL || !copy_strings(client)) {
        destroy(client);
        return NULL;
    }
    client->state = SKUA_FAILED;
    if (configure(client, url, options_given) != SKUA_OK)
        return client;
    traffic_init(&client->traffic, client->options.protocol);
    client->state = SKUA_CONNECTING;
    client_begin_attempt(client);
    return client;
}

struct skua_client *skua_connect(const char *url, const struct skua_options *options)
{
    struct skua_client *client = create(url, options);
    if (client == NULL)
        return NULL;
    client_wait_connected(client);
    return client;
}

enum skua_status skua_open(const char *url, const struct skua_options *options,
                           struct skua_client **ret_client)
{
    struct skua_client *client = create(url, options);
    if (client == NULL)
        return SKUA_ERR_MEMORY;
    if (client->actions == NULL) {
        enum skua_status status = client->fault.status;
        destroy(client);
        return status;
    }
    *ret_client = client;
    return SKUA_OK;
}

void client_enter(struct skua_client *client)
{
    client->calls++;
}

void client_leave(struct skua_client *client)
{
    if (--client->calls == 0 && client->closing)
        destroy(client);
}

void skua_close(struct skua_client *client)
{
    if (client == NULL || client->closing)
        return;
    if (client->calls > 0 || client->callbacks > 0)
        client->closing = true;
    else
        destroy(client);
}

/* ---- Questions ---------------------------------------------------------------------------------------------- */

enum skua_state skua_state_of(const struct skua_client *client)
{
    return client->state;
}

enum skua_status skua_status_of(const struct skua_client *client)
{
    return client->fault.status;
}

const char *skua_error(const struct skua_client *client)
{
    return client->fault.text;
}

int skua_protocol(const struct skua_client *client)
{
    return client->traffic.protocol;
}

const char *skua_address(const struct skua_client *client)
{
    return client->address;
}

const char *skua_transport(const struct skua_client *client)
{
    return client->stream != NULL ? client->stream->transport : "none";
}

size_t skua_pending(const struct skua_client *client)
{
    return client->pending.replies + client->results.count;
}

size_t skua_unsent(const struct skua_client *client)
{
    return output_size(&client->output);
}

void skua_set_command_timeout(struct skua_client *client, int64_t timeout_ms)
{
    client->command_timeout_ms = timeout_ms;
}

void skua_set_user(struct skua_client *client, void *user)
{
    client->user = user;
}

void *skua_user(const struct skua_client *client)
{
    return client->user;
}

void skua_on_state(struct skua_client *client, skua_state_fn *callback, void *user)
{
    client->on_state = callback;
    client->on_state_user = user;
}

void skua_on_push(struct skua_client *client, skua_push_fn *callback, void *user)
{
    client->on_push = callback;
    client->on_push_user = user;
}

/* The caller has asked for the three when he sets this: only what changes from now on is told. */
void skua_on_watch(struct skua_client *client, skua_watch_fn *callback, void *user)
{
    client->on_watch = callback;
    client->on_watch_user = user;
    const int descriptor = skua_descriptor(client); /* first: it may find something that is due */
    client->watched = (struct client_watch){descriptor, skua_want(client), client_moment_ms(client)};
}
