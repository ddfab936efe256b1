/* Readings from a connection. Entry: source_open, source_ask, source_run. Threads and states: see source.h. */
#include "top/source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"

#define RECONNECT_DELAY_MS     200
#define RECONNECT_DELAY_MAX_MS 5000
#define RETRY_S                10
/* CLIENT LIST of 100,000 clients is some 40 MB. */
#define STRING_MAX  ((size_t)128 << 20)
#define REPLY_MAX   ((size_t)256 << 20)
#define ELEMENT_MAX ((size_t)1 << 20)

struct source {
    struct skua_client *client;
    source_fn *callback;
    void *context;
    bool was_ready;
    uint64_t retry_ns; /* when to try again after a refusal; 0: not by itself */
    char problem[256]; /* how the connection was lost, or why INFO was refused; until there is a reading */

    /* The batch that is under way. */
    unsigned pending; /* answers that have not come */
    uint64_t asked_ns;
    struct sample *sample; /* from INFO's answer on */
};

uint64_t source_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- Answers ---------------------------------------------------------------------------------------------- */

static void give_up(struct source *source)
{
    sample_free(source->sample);
    source->sample = NULL;
}

/* An answer of the batch has been dealt with; with the last one the reading is complete. */
static void answered(struct source *source, enum skua_status status)
{
    source->pending--;
    if (status != SKUA_OK)
        give_up(source);
    if (source->pending > 0 || source->sample == NULL)
        return;
    struct sample *sample = source->sample;
    source->sample = NULL;
    sample->round_trip_ns = source_now_ns() - source->asked_ns;
    source->callback(source->context, sample);
}

static void on_info(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                    void *user)
{
    struct source *source = user;
    if (status == SKUA_OK && (reply->type == SKUA_STRING || reply->type == SKUA_VERBATIM)) {
        source->problem[0] = 0;
        source->sample = sample_new(slice_make(reply->string, reply->length));
        source->sample->taken_ns = source_now_ns();
        source->sample->wall_us = wall_us();
    } else if (status == SKUA_OK) {
        bool is_error = reply->type == SKUA_ERROR;
        snprintf(source->problem, sizeof source->problem, "INFO: %s",
                 is_error ? reply->string : "the server answered with something else");
    }
    answered(source, status);
}

static void on_slow_log(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                        void *user)
{
    struct source *source = user;
    if (status == SKUA_OK && source->sample != NULL)
        sample_set_slow_log(source->sample, reply);
    answered(source, status);
}

static void on_latencies(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                         void *user)
{
    struct source *source = user;
    if (status == SKUA_OK && source->sample != NULL)
        sample_set_latencies(source->sample, reply);
    answered(source, status);
}

static void on_clients(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                       void *user)
{
    struct source *source = user;
    if (status == SKUA_OK && source->sample != NULL)
        sample_set_clients(source->sample, reply);
    answered(source, status);
}

/* ---- Connection ------------------------------------------------------------------------------------------- */

/* The name is a courtesy to whoever looks at CLIENT LIST: a user who may not set it still sees everything. */
static void on_named(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                     void *user)
{
}

static void on_state(struct skua_client *client, enum skua_state state, void *user)
{
    struct source *source = user;
    if (state == SKUA_READY) {
        source->was_ready = true;
        skua_submit_command(client, on_named, NULL, "CLIENT SETNAME skua-top");
    }
    /* The library may be connected again before anybody has looked, and then has nothing to complain about. */
    if ((state == SKUA_WAITING || state == SKUA_FAILED) && skua_status_of(client) != SKUA_OK)
        snprintf(source->problem, sizeof source->problem, "%s", skua_error(client));
    /* A wrong password that is tried again and again fills the server's log of such attempts. */
    bool hopeless = strstr(skua_error(client), "WRONGPASS") != NULL;
    source->retry_ns =
        state == SKUA_FAILED && !hopeless ? source_now_ns() + RETRY_S * UINT64_C(1000000000) : 0;
}

struct source *source_open(const struct connect_options *options, source_fn *callback, void *context,
                           char *error)
{
    struct source *source = mem_calloc(1, sizeof *source);
    source->callback = callback;
    source->context = context;
    struct skua_options settings;
    connect_fill(options, &settings);
    settings.db = 0; /* nothing that is asked for depends on it */
    settings.reconnect_max = -1;
    settings.reconnect_delay_ms = RECONNECT_DELAY_MS;
    settings.reconnect_delay_max_ms = RECONNECT_DELAY_MAX_MS;
    settings.limits.string_max = STRING_MAX;
    settings.limits.reply_max = REPLY_MAX;
    settings.limits.element_max = ELEMENT_MAX;
    struct buf url = {0};
    connect_url(options, &url);
    enum skua_status status = skua_open(buf_string(&url), &settings, &source->client);
    buf_done(&url);
    if (status != SKUA_OK) {
        snprintf(error, OPTION_ERROR_MAX, "%s", skua_status_text(status));
        mem_free(source);
        return NULL;
    }
    skua_on_state(source->client, on_state, source);
    return source;
}

void source_close(struct source *source)
{
    if (source == NULL)
        return;
    skua_on_state(source->client, NULL, NULL);
    skua_close(source->client);
    give_up(source);
    mem_free(source);
}

static void ask(struct source *source, skua_reply_fn *callback, const char *command)
{
    source->pending += skua_submit_command(source->client, callback, source, command) == SKUA_OK;
}

bool source_ask(struct source *source, struct wants wants)
{
    if (source->pending > 0 || skua_state_of(source->client) != SKUA_READY)
        return false;
    source->asked_ns = source_now_ns();
    ask(source, on_info, "INFO all");
    if (wants.slow_entries > 0) {
        char command[64];
        snprintf(command, sizeof command, "SLOWLOG GET %u", wants.slow_entries);
        ask(source, on_slow_log, command);
    }
    if (wants.latencies)
        ask(source, on_latencies, "LATENCY HISTOGRAM");
    if (wants.clients)
        ask(source, on_clients, "CLIENT LIST");
    return source->pending > 0;
}

int64_t source_wait(const struct source *source, struct pollfd *ret_poll)
{
    unsigned want = skua_want(source->client);
    *ret_poll = (struct pollfd){
        .fd = skua_descriptor(source->client),
        .events = (short)((want & SKUA_READ ? POLLIN : 0) | (want & SKUA_WRITE ? POLLOUT : 0))};
    int64_t deadline_ms = skua_deadline_ms(source->client);
    if (source->retry_ns == 0)
        return deadline_ms;
    uint64_t now_ns = source_now_ns();
    int64_t retry_ms = source->retry_ns > now_ns ? (int64_t)((source->retry_ns - now_ns) / 1000000) + 1 : 0;
    return deadline_ms < 0 || retry_ms < deadline_ms ? retry_ms : deadline_ms;
}

void source_run(struct source *source, short revents)
{
    unsigned ready =
        (revents & (POLLIN | POLLHUP | POLLERR) ? SKUA_READ : 0) | (revents & POLLOUT ? SKUA_WRITE : 0);
    skua_run(source->client, ready);
    if (source->retry_ns != 0 && source_now_ns() >= source->retry_ns)
        source_retry(source);
}

void source_retry(struct source *source)
{
    source->retry_ns = 0;
    if (skua_state_of(source->client) == SKUA_FAILED)
        skua_reconnect(source->client);
}

void source_link(const struct source *source, struct link_view *ret_link)
{
    enum skua_state state = skua_state_of(source->client);
    ret_link->address = skua_address(source->client);
    ret_link->waiting_s = source->pending > 0 ? (double)(source_now_ns() - source->asked_ns) / 1e9 : NAN;
    if (state == SKUA_READY)
        ret_link->state = LINK_READY;
    else if (state == SKUA_FAILED)
        ret_link->state = LINK_REFUSED;
    else
        ret_link->state = source->was_ready || source->problem[0] != 0 ? LINK_LOST : LINK_CONNECTING;
    ret_link->problem = source->problem;
}
