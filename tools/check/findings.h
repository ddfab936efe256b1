/* What has been found in a source: what it consists of, and what is wrong with it.
 *
 * Principal entry points: findings_init, findings_fail, findings_print.
 * Threads: one user. */
#ifndef SKUA_CHECK_FINDINGS_H
#define SKUA_CHECK_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/macros.h"

/* Exit statuses of the program; the greater one counts. */
enum check_status {
    CHECK_SOUND = 0,   /* or: both are equal */
    CHECK_DAMAGED = 1, /* or: they differ */
    CHECK_FAILED = 2,  /* could not be read, or is of a kind that is not known */
};

enum findings_problem {
    FINDINGS_NONE,
    FINDINGS_TORN,    /* a log stops in the middle of something: what is behind cut_at can be cut off */
    FINDINGS_DAMAGED, /* bytes that cannot be there */
    FINDINGS_FOREIGN, /* sound as far as one can see, but of a kind that is not known */
    FINDINGS_FAILED,  /* the system refused */
};

#define FINDINGS_TEXT_MAX 1024

struct findings {
    unsigned version; /* of the snapshot's format; 0: there is none */
    bool is_valkey;   /* which has numbers of its own */
    bool is_sealed;   /* its checksum is right */
    bool has_log;
    char writer[64];    /* the server's version, as the snapshot tells it */
    uint64_t keys;      /* in the snapshot */
    uint64_t expires;   /* of them, with a time to live */
    uint64_t databases; /* that were selected there */
    uint64_t passed_by; /* keys of modules' types, empty ones */
    uint64_t functions; /* libraries */
    uint64_t aux;       /* modules' fields beside the keys */
    uint64_t requests;
    uint64_t transactions;
    uint64_t unknown; /* requests of commands that do not exist here */
    char first_unknown[80];
    uint64_t first_unknown_at;
    uint64_t refused; /* requests that were replayed and answered with an error */
    char first_refusal[256];
    uint64_t bytes; /* of all files */

    enum findings_problem problem; /* the first one */
    char *path;                    /* of the file that has it; own */
    uint64_t offset;
    bool is_located; /* the text says where */
    bool can_cut;    /* the log's last file is sound up to: */
    uint64_t cut_at; /* in bytes from its beginning */
    char text[FINDINGS_TEXT_MAX];
};

void findings_init(struct findings *findings);
void findings_done(struct findings *findings);

/* Writes the first problem down; later ones follow from it. Answers with the exit status that it means. */
enum check_status findings_fail(struct findings *findings, enum findings_problem problem, const char *path,
                                uint64_t offset, const char *format, ...) PRINTF_LIKE(5, 6);

enum check_status findings_status(const struct findings *findings);

/* One or some lines: what it is, and that it is sound. */
void findings_print(const struct findings *findings, const char *name, FILE *out);
/* The problem, as a line. */
void findings_print_problem(const struct findings *findings, FILE *out);

#endif
