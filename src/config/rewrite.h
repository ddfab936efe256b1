/* The parts of CONFIG REWRITE, for config_rewrite_run and for tests. Private to src/config. */
#ifndef SKUA_CONFIG_REWRITE_H
#define SKUA_CONFIG_REWRITE_H

#include "config/config.h"

/* What a file at `path` has to say so that it gives the present values. Executor. */
struct config_rewrite *config_rewrite_plan(const struct config *config, const char *path);

/* Appends the new file, made from the text of the old one. Once per plan; any thread. */
void config_rewrite_merge(struct config_rewrite *rewrite, struct slice old, struct buf *ret_text);

#endif
