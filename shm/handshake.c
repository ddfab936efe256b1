/* Asking for a session and reading the offer. Entry points, and the exchange: shm/handshake.h. */
#include "shm/handshake.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "shm/layout.h"

/* ---- Asking ------------------------------------------------------------------------------------------------- */

static size_t add_word(char *request, size_t at, const char *word)
{
    return at + (size_t)snprintf(request + at, SHM_ASK_SIZE - at, "$%zu\r\n%s\r\n", strlen(word), word);
}

static size_t add_number(char *request, size_t at, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    return add_word(request, at, digits);
}

size_t shm_ask(char ret_request[static SHM_ASK_SIZE], uint64_t request_ring, uint64_t reply_ring)
{
    int words = 3 + (request_ring ? 2 : 0) + (reply_ring ? 2 : 0);
    size_t at = (size_t)snprintf(ret_request, SHM_ASK_SIZE, "*%d\r\n", words);
    at = add_word(ret_request, at, "SHM");
    at = add_word(ret_request, at, "OPEN");
    at = add_number(ret_request, at, SHM_VERSION);
    if (request_ring) {
        at = add_word(ret_request, at, "REQUEST-RING");
        at = add_number(ret_request, at, request_ring);
    }
    if (reply_ring) {
        at = add_word(ret_request, at, "REPLY-RING");
        at = add_number(ret_request, at, reply_ring);
    }
    return at;
}

/* ---- Reading the answer ------------------------------------------------------------------------------------- */

struct answer {
    const char *bytes;
    size_t size;
    size_t at;
    enum shm_offer_status status; /* SHM_OFFERED as long as nothing is wrong */
};

/* The next line without its end; false, with a status, when it has none yet. */
static bool take_line(struct answer *answer, const char **ret_line, size_t *ret_size)
{
    const char *line = answer->bytes + answer->at;
    const char *end = memchr(line, '\n', answer->size - answer->at);
    if (!end) {
        answer->status = answer->size >= SHM_ANSWER_SIZE ? SHM_NONSENSE : SHM_UNFINISHED;
        return false;
    }
    size_t size = (size_t)(end - line);
    if (size < 2 || line[size - 1] != '\r') {
        answer->status = SHM_NONSENSE;
        return false;
    }
    *ret_line = line;
    *ret_size = size - 1;
    answer->at += size + 1;
    return true;
}

/* A line that is `mark` and a number without a sign. */
static bool take_number(struct answer *answer, char mark, uint64_t *ret_number)
{
    const char *line;
    size_t size;
    if (!take_line(answer, &line, &size))
        return false;
    *ret_number = 0;
    bool sound = line[0] == mark && size > 1 && size < 20;
    for (size_t i = 1; sound && i < size; i++) {
        sound = line[i] >= '0' && line[i] <= '9';
        *ret_number = *ret_number * 10 + (uint64_t)(line[i] - '0');
    }
    if (!sound)
        answer->status = SHM_NONSENSE;
    return sound;
}

static bool take_field(struct answer *answer, struct shm_offer *offer, uint64_t *ret_version)
{
    uint64_t name_size, value;
    const char *name;
    size_t size;
    if (!take_number(answer, '$', &name_size) || !take_line(answer, &name, &size))
        return false;
    if (size != name_size) {
        answer->status = SHM_NONSENSE;
        return false;
    }
    if (!take_number(answer, ':', &value))
        return false;
    const struct {
        const char *name;
        uint64_t *value;
    } known[] = {
        {"version", ret_version},
        {"request-ring", &offer->request_ring},
        {"reply-ring", &offer->reply_ring},
        {"request-control", &offer->request_control},
        {"reply-control", &offer->reply_control},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].name) == size && memcmp(known[i].name, name, size) == 0)
            *known[i].value = value;
    return true;
}

static bool is_control(uint64_t offset)
{
    return offset % SHM_CONTROL_SIZE == 0 && offset + SHM_CONTROL_SIZE <= SHM_RING_OFFSET;
}

enum shm_offer_status shm_read_offer(const char *bytes, size_t size, struct shm_offer *ret_offer,
                                     size_t *ret_size)
{
    struct answer answer = {.bytes = bytes, .size = size, .status = SHM_OFFERED};
    const char *line;
    size_t line_size;
    uint64_t items, version = 0;
    *ret_offer = (struct shm_offer){0};
    if (size == 0)
        return SHM_UNFINISHED;
    if (bytes[0] == '-') {
        if (!take_line(&answer, &line, &line_size))
            return answer.status;
        *ret_size = answer.at;
        return SHM_REFUSED;
    }
    if (!take_number(&answer, '*', &items))
        return answer.status;
    if (items % 2 != 0 || items > 64)
        return SHM_NONSENSE;
    for (uint64_t i = 0; i < items; i += 2)
        if (!take_field(&answer, ret_offer, &version))
            return answer.status;
    *ret_size = answer.at;
    bool sound = version == SHM_VERSION && shm_is_ring_size(ret_offer->request_ring) &&
                 shm_is_ring_size(ret_offer->reply_ring) && is_control(ret_offer->request_control) &&
                 is_control(ret_offer->reply_control);
    return sound ? SHM_OFFERED : SHM_NONSENSE;
}
