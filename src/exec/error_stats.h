/* How often each error code was answered (INFO errorstats). Executor only. */
#ifndef SKUA_EXEC_ERROR_STATS_H
#define SKUA_EXEC_ERROR_STATS_H

#include <stdint.h>

#include "base/slice.h"

struct exec;

/* Codes beyond this number are counted together as "ERRORSTATS_OVERFLOW", as a client can invent codes. */
#define ERROR_STATS_CODES_MAX 128

void error_stats_init(struct exec *exec);
void error_stats_done(struct exec *exec);
void error_stats_reset(struct exec *exec);

/* Counts `count` errors with this code. */
void error_stats_count(struct exec *exec, const char *code, uint64_t count);

/* In no particular order. */
void error_stats_visit(const struct exec *exec,
                       void (*visit)(void *context, const char *code, uint64_t count), void *context);

#endif
