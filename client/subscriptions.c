/* What requests do to a connection beyond having a reply. See subscriptions.h. Threads: the client's. */
#include <string.h>

#include "client/ascii.h"
#include "client/subscriptions.h"

void traffic_init(struct traffic *traffic, int protocol)
{
    *traffic = (struct traffic){.protocol = protocol};
}

/* ---- Requests ----------------------------------------------------------------------------------------------- */

static const struct request_name {
    const char *name;
    uint8_t length;
    enum request_kind kind;
} request_names[] = {
    {"SUBSCRIBE", 9, REQUEST_SUBSCRIBE},
    {"PSUBSCRIBE", 10, REQUEST_PSUBSCRIBE},
    {"SSUBSCRIBE", 10, REQUEST_SSUBSCRIBE},
    {"UNSUBSCRIBE", 11, REQUEST_UNSUBSCRIBE},
    {"PUNSUBSCRIBE", 12, REQUEST_PUNSUBSCRIBE},
    {"SUNSUBSCRIBE", 12, REQUEST_SUNSUBSCRIBE},
    {"MONITOR", 7, REQUEST_MONITOR},
    {"HELLO", 5, REQUEST_HELLO},
    {"RESET", 5, REQUEST_RESET},
    {"SYNC", 4, REQUEST_SYNC},
    {"PSYNC", 5, REQUEST_SYNC},
};
#define REQUEST_NAME_COUNT (sizeof(request_names) / sizeof(request_names[0]))

static enum request_kind kind_of_name(const char *name, size_t length)
{
    for (size_t i = 0; i < REQUEST_NAME_COUNT; i++)
        if (length == request_names[i].length && ascii_equal(name, length, request_names[i].name))
            return request_names[i].kind;
    return REQUEST_PLAIN;
}

static bool is_confirmed(enum request_kind kind)
{
    return kind >= REQUEST_SUBSCRIBE && kind <= REQUEST_SUNSUBSCRIBE;
}

enum request_kind request_kind_of(size_t count, const char *const *arguments, const size_t *lengths,
                                  uint32_t *ret_detail)
{
    *ret_detail = 0;
    /* The first letters of the names: nearly all commands are told by theirs. */
    size_t length = lengths != NULL ? lengths[0] : strlen(arguments[0]);
    if (length == 0 || memchr("SPUMHRspumhr", arguments[0][0], 12) == NULL)
        return REQUEST_PLAIN;
    enum request_kind kind = kind_of_name(arguments[0], length);
    if (is_confirmed(kind)) {
        *ret_detail = (uint32_t)(count - 1);
    } else if (kind == REQUEST_HELLO && count > 1) {
        size_t version_length = lengths != NULL ? lengths[1] : strlen(arguments[1]);
        if (version_length == 1 && (arguments[1][0] == '2' || arguments[1][0] == '3'))
            *ret_detail = (uint32_t)(arguments[1][0] - '0');
    }
    return kind;
}

/* ---- What arrives ------------------------------------------------------------------------------------------- */

/* A look at bytes that may not all be there yet. */
struct glance {
    const char *at, *end;
};

/* One of `allowed`, which is used. LEAD_PUSH stands for yes, LEAD_REPLY for no. */
static enum traffic_lead glance_at(struct glance *glance, const char *allowed)
{
    if (glance->at == glance->end)
        return LEAD_UNKNOWN;
    if (*glance->at == '\0' || strchr(allowed, *glance->at) == NULL)
        return LEAD_REPLY;
    glance->at++;
    return LEAD_PUSH;
}

/* At least one digit, and what ends them. */
static enum traffic_lead glance_at_digits(struct glance *glance, char behind)
{
    enum traffic_lead lead = glance_at(glance, "0123456789");
    while (lead == LEAD_PUSH && glance->at < glance->end && *glance->at >= '0' && *glance->at <= '9')
        glance->at++;
    const char allowed[2] = {behind, '\0'};
    return lead == LEAD_PUSH ? glance_at(glance, allowed) : lead;
}

static enum traffic_lead glance_at_text(struct glance *glance, const char *text)
{
    size_t length = strlen(text), here = (size_t)(glance->end - glance->at);
    if (memcmp(glance->at, text, here < length ? here : length) != 0)
        return LEAD_REPLY;
    if (here < length)
        return LEAD_UNKNOWN;
    glance->at += length;
    return LEAD_PUSH;
}

/* `+1700000000.123456 [` */
static enum traffic_lead monitor_lead(const char *bytes, size_t size)
{
    struct glance glance = {bytes + 1, bytes + size};
    enum traffic_lead lead = glance_at_digits(&glance, '.');
    if (lead == LEAD_PUSH)
        lead = glance_at_digits(&glance, ' ');
    return lead == LEAD_PUSH ? glance_at(&glance, "[") : lead;
}

/* An array whose first element is one of the three words. */
static enum traffic_lead message_lead(const char *bytes, size_t size)
{
    static const char *const words[] = {"$7\r\nmessage\r\n", "$8\r\npmessage\r\n", "$8\r\nsmessage\r\n"};
    struct glance glance = {bytes + 1, bytes + size};
    enum traffic_lead lead = glance_at_digits(&glance, '\r');
    if (lead == LEAD_PUSH)
        lead = glance_at(&glance, "\n");
    if (lead != LEAD_PUSH)
        return lead;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct glance word = glance;
        lead = glance_at_text(&word, words[i]);
        if (lead != LEAD_REPLY)
            return lead;
    }
    return LEAD_REPLY;
}

static bool expects_messages(const struct traffic *traffic, const struct pending_entry *next)
{
    return traffic->total > 0 || traffic->shards > 0 || traffic->queued ||
           (next != NULL && is_confirmed(next->kind));
}

enum traffic_lead traffic_lead(const struct traffic *traffic, const struct pending_entry *next,
                               const char *bytes, size_t size)
{
    if (size == 0)
        return LEAD_UNKNOWN;
    switch (bytes[0]) {
    case '>': return LEAD_PUSH;
    case '+': return traffic->monitor ? monitor_lead(bytes, size) : LEAD_REPLY;
    case '*':
        return traffic->protocol == 2 && expects_messages(traffic, next) ? message_lead(bytes, size)
                                                                         : LEAD_REPLY;
    default: return LEAD_REPLY;
    }
}

/* ---- Confirmations and effects ------------------------------------------------------------------------------ */

/* [word, channel or null, count] of which kind, or REQUEST_PLAIN. */
static enum request_kind kind_of_confirmation(const struct skua_reply *value)
{
    if ((value->type != SKUA_ARRAY && value->type != SKUA_PUSH) || value->element_count != 3 ||
        value->elements[0].type != SKUA_STRING || value->elements[2].type != SKUA_INTEGER ||
        value->elements[2].integer < 0)
        return REQUEST_PLAIN;
    enum request_kind kind = kind_of_name(value->elements[0].string, value->elements[0].length);
    return is_confirmed(kind) ? kind : REQUEST_PLAIN;
}

/* The server tells the sum of channels and patterns: which of the two has changed follows from the kind. */
static void count_confirmation(struct traffic *traffic, enum request_kind kind, uint64_t count)
{
    if (kind == REQUEST_SSUBSCRIBE || kind == REQUEST_SUNSUBSCRIBE) {
        traffic->shards = count;
        return;
    }
    bool is_pattern = kind == REQUEST_PSUBSCRIBE || kind == REQUEST_PUNSUBSCRIBE;
    uint64_t other = is_pattern ? traffic->channels : traffic->patterns;
    if (other > count) /* not what it told before: its word counts */
        other = 0;
    traffic->total = count;
    traffic->channels = is_pattern ? other : count - other;
    traffic->patterns = is_pattern ? count - other : other;
}

/* How many channels a request without arguments is about. */
static uint64_t subscribed(const struct traffic *traffic, enum request_kind kind)
{
    switch (kind) {
    case REQUEST_UNSUBSCRIBE: return traffic->channels;
    case REQUEST_PUNSUBSCRIBE: return traffic->patterns;
    case REQUEST_SUNSUBSCRIBE: return traffic->shards;
    default: return 0;
    }
}

bool traffic_confirms(struct traffic *traffic, struct pending_entry *next, const struct skua_reply *value,
                      bool *ret_last)
{
    enum request_kind kind = kind_of_confirmation(value);
    if (kind == REQUEST_PLAIN)
        return false;
    bool is_next = next != NULL && next->kind == kind;
    bool is_unasked = next == NULL && traffic->total + traffic->shards > 0;
    if (!is_next && !is_unasked && value->type == SKUA_ARRAY)
        return false;
    count_confirmation(traffic, kind, (uint64_t)value->elements[2].integer);
    *ret_last = is_next && (next->detail == 0 ? subscribed(traffic, kind) == 0 : --next->detail == 0);
    return true;
}

void traffic_replied(struct traffic *traffic, const struct pending_entry *request,
                     const struct skua_reply *reply)
{
    bool is_status = reply->type == SKUA_STATUS;
    bool is_queued = is_status && reply->length == 6 && memcmp(reply->string, "QUEUED", 6) == 0;
    if (reply->type == SKUA_ERROR)
        return;
    switch (request->kind) {
    case REQUEST_MONITOR: traffic->monitor = traffic->monitor || (is_status && !is_queued); break;
    case REQUEST_HELLO:
        if (request->detail != 0 && !is_queued)
            traffic->protocol = (int)request->detail;
        break;
    case REQUEST_RESET:
        if (!is_queued)
            traffic_init(traffic, 2);
        break;
    case REQUEST_SYNC: traffic->raw = traffic->raw || !is_queued; break;
    case REQUEST_PLAIN: break;
    default: traffic->queued = traffic->queued || is_queued; break;
    }
}
