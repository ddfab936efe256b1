/* Random commands. See workload.h. */
#include "workload.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bug.h"
#include "base/macros.h"

#define TEXT_MAX 512

/* A letter behind % is something drawn anew: a key of a type (s string, l list, h hash, t set, z sorted set, x stream, k any), v a short
 * value, V a large one, e an element, i a small number, m milliseconds, S seconds of a blocking command, d a database. */
static const char *const commands[] = {
    "SET %s %v",
    "SET %s %V",
    "SET %s %v PX %m",
    "SET %s %v KEEPTTL",
    "SETEX %s 1 %v",
    "PSETEX %s %m %v",
    "APPEND %s %v",
    "SETRANGE %s %i %v",
    "INCRBY n%i %i",
    "INCRBYFLOAT f%i 0.1%i",
    "MSET %s %v %s %v n%i %i",
    "GETDEL %s",
    "GETSET %s %v",
    "GETEX %s PX %m",
    "SETBIT b%i %i 1",
    "PFADD p%i %e %e %e",
    "PFMERGE p%i p%i p%i",
    "BITOP XOR b%i b%i %s",
    "RPUSH %l %e %e",
    "LPUSH %l %e",
    "RPUSH %l %V",
    "LPOP %l",
    "RPOP %l 2",
    "LREM %l 0 %e",
    "LINSERT %l BEFORE %e %v",
    "LTRIM %l 0 7",
    "LSET %l 0 %v",
    "LMOVE %l %l LEFT RIGHT",
    "LMPOP 2 %l %l RIGHT COUNT 2",
    "BLPOP %l %l %S",
    "BLMOVE %l %l LEFT LEFT %S",
    "BZPOPMIN %z %S",
    "HSET %h %e %v %e %i",
    "HSET %h %e %V",
    "HDEL %h %e %e",
    "HINCRBY %h n%i %i",
    "HINCRBYFLOAT %h f%i 1.5",
    "HSETNX %h %e %v",
    "HPEXPIRE %h %m FIELDS 1 %e",
    "HPERSIST %h FIELDS 1 %e",
    "HGETDEL %h FIELDS 1 %e",
    "SADD %t %e %e %e",
    "SADD %t %i %i %i",
    "SREM %t %e",
    "SPOP %t",
    "SPOP %t 2",
    "SMOVE %t %t %e",
    "SINTERSTORE %t %t %t",
    "SUNIONSTORE %t %t %t",
    "SDIFFSTORE %t %t %t",
    "ZADD %z %i %e 1.%i %e",
    "ZADD %z GT CH %i %e",
    "ZINCRBY %z 0.%i %e",
    "ZREM %z %e",
    "ZPOPMIN %z",
    "ZPOPMAX %z 2",
    "ZREMRANGEBYSCORE %z 2 4",
    "ZUNIONSTORE %z 2 %z %z",
    "ZRANGESTORE %z %z 0 4",
    "GEOADD %z 13.%i 38.%i %e",
    "XADD %x * f %v g %i",
    "XADD %x MAXLEN ~ 20 * f %v",
    "XTRIM %x MAXLEN 10",
    "XGROUP CREATE %x g $ MKSTREAM",
    "XREADGROUP GROUP g c%i COUNT 2 STREAMS %x >",
    "XREADGROUP GROUP g c%i COUNT 1 BLOCK %m STREAMS %x >",
    "XAUTOCLAIM %x g c%i 0 0 COUNT 3",
    "XGROUP DELCONSUMER %x g c%i",
    "XGROUP DESTROY %x g",
    "DEL %k",
    "DEL %k %k",
    "UNLINK %k",
    "PEXPIRE %k %m",
    "PEXPIRE %k %m",
    "EXPIRE %k 1",
    "PEXPIRE %k -1",
    "PEXPIREAT %k 1700000012000",
    "PERSIST %k",
    "RENAME %k %k",
    "RENAMENX %k %k",
    "COPY %k %k REPLACE",
    "COPY %k %k DB %d REPLACE",
    "MOVE %k %d",
    "SORT %l ALPHA STORE %l",
    "GET %s",
    "HGETALL %h",
    "LRANGE %l 0 -1",
    "SCAN 0",
    "PUBLISH news %v",
    "SELECT %d",
    "SELECT %d",
    "SELECT %d",
};

static const char *const rare_commands[] = {
    "FLUSHDB", "FLUSHDB ASYNC", "SWAPDB %d %d", "RPUSH %l %V %V %V", "SET %s %V", "SET %s %V", "SET %s %V",
};

/* ---- Words ---------------------------------------------------------------------------------------- */

static void append_large(struct buf *requests, struct rng *rng, size_t size_max)
{
    size_t size = 1000 + (size_t)rng_below(rng, size_max);
    char letter = (char)('a' + rng_below(rng, 26));
    buf_printf(requests, "$%zu\r\n", size);
    for (size_t i = 0; i < size; i++)
        buf_append(requests, &letter, 1);
    buf_append_string(requests, "\r\n");
}

static void append_bulk(struct buf *requests, const char *text)
{
    buf_printf(requests, "$%zu\r\n%s\r\n", strlen(text), text);
}

/* What stands for the letter. */
static void draw(struct rng *rng, char letter, char *ret_text, size_t capacity)
{
    static const char types[] = "slhtzx";
    unsigned number = (unsigned)rng_below(rng, 6);
    switch (letter) {
    case 'v': snprintf(ret_text, capacity, "value%u", (unsigned)rng_below(rng, 1000000)); return;
    case 'e': snprintf(ret_text, capacity, "e%u", (unsigned)rng_below(rng, 16)); return;
    case 'i': snprintf(ret_text, capacity, "%u", (unsigned)rng_below(rng, 10)); return;
    case 'm': snprintf(ret_text, capacity, "%u", 1 + (unsigned)rng_below(rng, 1500)); return;
    case 'S': snprintf(ret_text, capacity, "0.%u", 1 + (unsigned)rng_below(rng, 9)); return;
    case 'd': snprintf(ret_text, capacity, "%u", (unsigned)rng_below(rng, WORKLOAD_DBS)); return;
    case 'k': letter = types[rng_below(rng, sizeof types - 1)]; break;
    default: ASSERT(strchr(types, letter) != NULL);
    }
    snprintf(ret_text, capacity, "%c%u", letter, number);
}

static void append_word(struct buf *requests, struct rng *rng, const struct workload *workload,
                        const char *word)
{
    char text[64];
    size_t size = 0;
    if (strcmp(word, "%V") == 0) {
        append_large(requests, rng, workload->value_max);
        return;
    }
    for (; *word; word++) {
        if (*word == '%')
            draw(rng, *++word, text + size, sizeof text - size);
        else
            snprintf(text + size, sizeof text - size, "%c", *word);
        size += strlen(text + size);
    }
    append_bulk(requests, text);
}

static unsigned count_words(const char *text)
{
    unsigned count = 1;
    for (; *text; text++)
        count += *text == ' ';
    return count;
}

static void append_command(struct buf *requests, struct rng *rng, const struct workload *workload,
                           const char *pattern)
{
    char words[TEXT_MAX];
    char *rest = words, *word;
    snprintf(words, sizeof words, "%s", pattern);
    buf_printf(requests, "*%u\r\n", count_words(words));
    while ((word = strsep(&rest, " ")) != NULL)
        append_word(requests, rng, workload, word);
}

static bool is_left_out(const struct workload *workload, const char *command)
{
    return (workload->never_blocks && (strstr(command, "%S") || strstr(command, "BLOCK"))) ||
           (workload->never_expires && (strstr(command, "EX") || strstr(command, "PX")));
}

static const char *draw_command(struct rng *rng, const struct workload *workload)
{
    const char *command;
    do {
        command = commands[rng_below(rng, ARRAY_COUNT(commands))];
    } while (is_left_out(workload, command));
    return command;
}

static void append_one(struct buf *requests, struct rng *rng, const struct workload *workload)
{
    if (workload->flushes_all && rng_below(rng, 400) == 0)
        append_command(requests, rng, workload, rng_below(rng, 2) ? "FLUSHALL" : "FLUSHALL ASYNC");
    else if (rng_below(rng, 100) == 0)
        append_command(requests, rng, workload, rare_commands[rng_below(rng, ARRAY_COUNT(rare_commands))]);
    else
        append_command(requests, rng, workload, draw_command(rng, workload));
}

void workload_append(struct buf *requests, struct rng *rng, const struct workload *workload)
{
    if (rng_below(rng, 8)) {
        append_one(requests, rng, workload);
        return;
    }
    unsigned count = 1 + (unsigned)rng_below(rng, 6);
    workload_request(requests, "MULTI");
    for (unsigned i = 0; i < count; i++)
        append_one(requests, rng, workload);
    workload_request(requests, rng_below(rng, 12) ? "EXEC" : "DISCARD");
}

void workload_request(struct buf *requests, const char *format, ...)
{
    char words[TEXT_MAX];
    char *rest = words, *word;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    buf_printf(requests, "*%u\r\n", count_words(words));
    while ((word = strsep(&rest, " ")) != NULL)
        append_bulk(requests, word);
}
