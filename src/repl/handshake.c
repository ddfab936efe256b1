/* The replica's side of the handshake. States and rules in handshake.h. */
#include "repl/handshake.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

#define WORDS_MAX 8

/* ---- Questions ------------------------------------------------------------------------------------ */

static void put_request(struct buf *out, const char *const *words, unsigned count)
{
    buf_printf(out, "*%u\r\n", count);
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
}

/* Asks it, or returns false when there is nothing to ask. */
static bool put_question(const struct handshake *handshake, struct buf *out)
{
    const struct handshake_options *options = &handshake->options;
    const char *words[WORDS_MAX];
    char number[24];
    unsigned count = 0;
    switch (handshake->question) {
    case HANDSHAKE_PING: words[count++] = "PING"; break;
    case HANDSHAKE_AUTH:
        if (!options->password[0])
            return false;
        words[count++] = "AUTH";
        if (options->user[0])
            words[count++] = options->user;
        words[count++] = options->password;
        break;
    case HANDSHAKE_PORT:
        snprintf(number, sizeof number, "%u", options->port);
        words[count++] = "REPLCONF", words[count++] = "listening-port", words[count++] = number;
        break;
    case HANDSHAKE_IP:
        if (!options->announced_ip[0])
            return false;
        words[count++] = "REPLCONF", words[count++] = "ip-address", words[count++] = options->announced_ip;
        break;
    case HANDSHAKE_CAPABILITIES:
        words[count++] = "REPLCONF";
        words[count++] = "capa", words[count++] = "eof";
        words[count++] = "capa", words[count++] = "psync2";
        if (options->can_resume)
            words[count++] = "capa", words[count++] = "skua-resume";
        break;
    case HANDSHAKE_VERSION:
        words[count++] = "REPLCONF", words[count++] = "version", words[count++] = options->version;
        break;
    case HANDSHAKE_SNAPSHOT:
        if (options->snapshot == NULL)
            return false;
        snprintf(number, sizeof number, "%" PRIu64, options->bytes);
        words[count++] = "REPLCONF", words[count++] = "skua-snapshot", words[count++] = options->snapshot;
        words[count++] = "skua-bytes", words[count++] = number;
        break;
    case HANDSHAKE_PSYNC:
        words[count++] = "PSYNC";
        words[count++] = options->id ? options->id : "?";
        snprintf(number, sizeof number, "%" PRIu64, options->offset + 1);
        words[count++] = options->id ? number : "-1";
        if (options->failover)
            words[count++] = "FAILOVER";
        break;
    case HANDSHAKE_DECIDED: return false;
    }
    put_request(out, words, count);
    return true;
}

static enum handshake_outcome ask_next(struct handshake *handshake, struct buf *out)
{
    do
        handshake->question++;
    while (!put_question(handshake, out));
    return HANDSHAKE_GOES_ON;
}

void handshake_begin(struct handshake *handshake, const struct handshake_options *options,
                     struct buf *ret_out)
{
    *handshake = (struct handshake){.options = *options, .question = HANDSHAKE_PING};
    put_question(handshake, ret_out);
}

/* ---- Answers -------------------------------------------------------------------------------------- */

static bool begins_with(struct slice line, const char *text)
{
    size_t size = strlen(text);
    return line.size >= size && memcmp(line.data, text, size) == 0;
}

/* Ends it. What a primary says is shown without what would spoil a log. */
static enum handshake_outcome give_up(struct handshake *handshake, enum handshake_outcome outcome,
                                      const char *what, struct slice line)
{
    char shown[81];
    size_t size = line.size < sizeof shown - 1 ? line.size : sizeof shown - 1;
    for (size_t i = 0; i < size; i++)
        shown[i] = line.data[i] >= ' ' && line.data[i] <= '~' ? line.data[i] : '?';
    shown[size] = 0;
    snprintf(handshake->reason, sizeof handshake->reason, "%s: %s", what, shown);
    handshake->question = HANDSHAKE_DECIDED;
    return outcome;
}

static enum handshake_outcome hear_pong(struct handshake *handshake, struct slice line, struct buf *out)
{
    static const char *const accepted[] = {"+PONG", "-NOAUTH", "-NOPERM", "-ERR operation not permitted"};
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++)
        if (begins_with(line, accepted[i]))
            return ask_next(handshake, out);
    return give_up(handshake, begins_with(line, "-LOADING") ? HANDSHAKE_LATER : HANDSHAKE_FAILED,
                   "the primary does not answer PING with PONG", line);
}

/* 40 characters that can stand in a request and in a file's field. */
static bool take_id(struct slice text, char ret_id[static REPL_ID_SIZE + 1])
{
    if (text.size < REPL_ID_SIZE || !repl_is_id(slice_make(text.data, REPL_ID_SIZE)))
        return false;
    memcpy(ret_id, text.data, REPL_ID_SIZE);
    ret_id[REPL_ID_SIZE] = 0;
    return true;
}

static struct slice rest_of(struct slice line, size_t from)
{
    return slice_make(line.data + from, line.size - from);
}

/* The first word of the line, which loses it and the space behind it. */
static struct slice take_word(struct slice *line)
{
    const char *space = line->size > 0 ? memchr(line->data, ' ', line->size) : NULL;
    size_t size = space ? (size_t)(space - line->data) : line->size;
    struct slice word = slice_make(line->data, size);
    *line = rest_of(*line, space ? size + 1 : size);
    return word;
}

/* Behind the offset: what the snapshot is called, and how much of it is known here. */
static bool take_snapshot(struct handshake *handshake, struct slice words)
{
    handshake->snapshot[0] = 0;
    handshake->bytes = 0;
    if (words.size == 0)
        return true;
    struct slice name = take_word(&words);
    if (!repl_is_id(name))
        return false;
    memcpy(handshake->snapshot, name.data, REPL_ID_SIZE);
    handshake->snapshot[REPL_ID_SIZE] = 0;
    if (words.size == 0)
        return true;
    const struct handshake_options *options = &handshake->options;
    return num_parse_u64(words, &handshake->bytes) && options->snapshot != NULL &&
           strcmp(options->snapshot, handshake->snapshot) == 0 && handshake->bytes == options->bytes;
}

static enum handshake_outcome hear_full(struct handshake *handshake, struct slice line)
{
    struct slice words = rest_of(line, strlen("+FULLRESYNC "));
    struct slice id = take_word(&words), number = take_word(&words);
    uint64_t offset;
    if (!repl_is_id(id) || !num_parse_u64(number, &offset) || offset > INT64_MAX ||
        !take_snapshot(handshake, words))
        return give_up(handshake, HANDSHAKE_FAILED, "the primary's FULLRESYNC is malformed", line);
    memcpy(handshake->id, id.data, REPL_ID_SIZE);
    handshake->id[REPL_ID_SIZE] = 0;
    handshake->offset = offset;
    handshake->question = HANDSHAKE_DECIDED;
    return HANDSHAKE_FULL;
}

static enum handshake_outcome hear_continue(struct handshake *handshake, struct slice line)
{
    const size_t size = strlen("+CONTINUE");
    if (handshake->options.id == NULL)
        return give_up(handshake, HANDSHAKE_FAILED,
                       "the primary goes on with a history that was not asked for", line);
    memcpy(handshake->id, handshake->options.id, REPL_ID_SIZE + 1);
    if (line.size > size && (line.data[size] != ' ' || line.size != size + 1 + REPL_ID_SIZE ||
                             !take_id(rest_of(line, size + 1), handshake->id)))
        return give_up(handshake, HANDSHAKE_FAILED, "the primary's CONTINUE is malformed", line);
    handshake->offset = handshake->options.offset;
    handshake->question = HANDSHAKE_DECIDED;
    return HANDSHAKE_CONTINUE;
}

static enum handshake_outcome hear_psync(struct handshake *handshake, struct slice line)
{
    if (begins_with(line, "+FULLRESYNC "))
        return hear_full(handshake, line);
    if (begins_with(line, "+CONTINUE"))
        return hear_continue(handshake, line);
    bool is_busy = begins_with(line, "-NOMASTERLINK") || begins_with(line, "-LOADING");
    return give_up(handshake, is_busy ? HANDSHAKE_LATER : HANDSHAKE_FAILED, "the primary refuses PSYNC",
                   line);
}

enum handshake_outcome handshake_line(struct handshake *handshake, struct slice line, struct buf *ret_out)
{
    if (line.size == 0)
        return HANDSHAKE_GOES_ON;
    switch (handshake->question) {
    case HANDSHAKE_PING: return hear_pong(handshake, line, ret_out);
    case HANDSHAKE_AUTH:
        if (line.data[0] != '+')
            return give_up(handshake, HANDSHAKE_FAILED, "the primary refuses the password", line);
        return ask_next(handshake, ret_out);
    case HANDSHAKE_PSYNC: handshake->asked_psync = true; return hear_psync(handshake, line);
    default: return ask_next(handshake, ret_out);
    }
}
