/* Replication: what a primary and a replica know of each other.
 *
 * Principal entry points: repl_new, repl_cron, repl_free.
 * Each side has its state and its files: primary.h (who follows this server), replica.h (whom this server follows). This is what
 * they hang from, and what both need: the names of the history.
 * Threads: executor. */
#ifndef SKUA_REPL_REPL_H
#define SKUA_REPL_REPL_H

#include <stdbool.h>
#include <stdint.h>

struct exec;
struct client;
struct io_group;
struct primary;

#define REPL_ID_SIZE 40 /* hexadecimal digits */

struct repl {
    struct exec *exec;
    struct io_group *io;
    struct primary *primary;
    /* Of the other side: */
    bool is_replica; /* this server follows a primary */
    bool has_link;   /* and is connected with it, and has its data: it may be followed itself */
    /* Which history the data belongs to; its offset is propagate_offset. */
    char id[REPL_ID_SIZE + 1];
    /* The history before it: replicas that know it up to `second_offset` can go on. Zeros and -1: there was none. */
    char second_id[REPL_ID_SIZE + 1];
    int64_t second_offset;
};

/* Also sets exec->repl. */
struct repl *repl_new(struct exec *exec, struct io_group *io);
void repl_free(struct repl *repl);

/* The client is about to be forgotten. */
void repl_client_gone(struct repl *repl, struct client *client);

/* Every 100 milliseconds. */
void repl_cron(struct repl *repl);

/* The data goes another way from here on: a new id; the old one is forgotten. */
void repl_new_history(struct repl *repl);
/* The same, but what was is the beginning of it: the old id becomes the second one (a replica that has become a primary). */
void repl_shift_history(struct repl *repl);

#endif
