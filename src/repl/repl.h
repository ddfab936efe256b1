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

#include "base/slice.h"

struct exec;
struct client;
struct io_group;
struct failover;
struct primary;
struct replica;
struct restart;
struct transport;

#define REPL_ID_SIZE 40 /* hexadecimal digits */

struct repl {
    struct exec *exec;
    struct io_group *io;
    const struct transport *transport; /* of links to primaries: TCP, but in a simulation */
    struct primary *primary;
    struct replica *replica; /* whom this server follows */
    struct failover *failover;
    struct restart *restart;
    /* Of the other side: */
    bool is_replica;         /* this server follows a primary */
    bool has_link;           /* and is connected with it, and has its data: it may be followed itself */
    uint64_t bytes_received; /* from primaries */
    /* Which history the data belongs to; its offset is propagate_offset. */
    char id[REPL_ID_SIZE + 1];
    /* The history before it: replicas that know it up to `second_offset` can go on. Zeros and -1: there was none. */
    char second_id[REPL_ID_SIZE + 1];
    int64_t second_offset;
    /* selected there in its stream, where this server has been a replica or a restart says so */
    uint32_t second_db;
};

/* REPL_ID_SIZE letters and digits: what can be the name of a history. */
bool repl_is_id(struct slice word);

/* Also sets exec->repl. */
struct repl *repl_new(struct exec *exec, struct io_group *io);
/* The I/O side is about to end: no link is opened any more. NULL is allowed. */
void repl_finish(struct repl *repl);
/* After repl_finish. NULL is allowed. */
void repl_free(struct repl *repl);

/* Bytes that replicas have been sent. */
uint64_t repl_bytes_sent(const struct repl *repl);

/* The client is about to be forgotten. */
void repl_client_gone(struct repl *repl, struct client *client);

/* Every 100 milliseconds. */
void repl_cron(struct repl *repl);

/* The data goes another way from here on: a new id; the old one is forgotten. */
void repl_new_history(struct repl *repl);
/* The same, but what was is the beginning of it: the old id becomes the second one (a replica that has become a primary). */
void repl_shift_history(struct repl *repl);

/* ---- Roles: what replica.c says --------------------------------------------------------------------- */

/* This server was a primary and follows another from now on. *ret_known: its data have a name that others may know; then *ret_db
 * is the database that is selected where the log ends. */
void repl_become_replica(struct repl *repl, bool *ret_known, uint32_t *ret_db);
/* And back: the history goes another way from here on, if what it was is known; else it begins here. */
void repl_become_primary(struct repl *repl, bool is_known);
/* The data are another server's, at `offset` of the history `id`. */
void repl_take_history(struct repl *repl, const char *id, uint64_t offset);
/* The data are those that were at `offset` of the history `id`, and may change from here on: what was is the beginning. */
void repl_resume_history(struct repl *repl, const char *id, uint64_t offset, uint32_t db);
/* The history goes on under another name, which those who follow this server are to learn. */
void repl_rename_history(struct repl *repl, const char *id);

#endif
