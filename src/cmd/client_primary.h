/* The link to a primary as CLIENT LIST and CLIENT KILL see it: a client with the flag M. Executor only. */
#ifndef SKUA_CMD_CLIENT_PRIMARY_H
#define SKUA_CMD_CLIENT_PRIMARY_H

#include <stdbool.h>

struct buf;
struct client_filter;
struct exec;

/* Appends its line, if there is one and it passes. */
void client_primary_list(const struct client_filter *filter, const struct exec *exec, struct buf *ret_text);

/* Ends it, if there is one and it passes; whether there was. It is made anew after a second. */
bool client_primary_kill(const struct client_filter *filter, struct exec *exec);

#endif
