/* The name that a client gives itself: shared by CLIENT SETNAME and HELLO. Executor only. */
#ifndef SKUA_CMD_CLIENT_NAME_H
#define SKUA_CMD_CLIENT_NAME_H

#include <stdbool.h>

#include "base/slice.h"

struct call;

/* Longest name, library name and library version. Every line of CLIENT LIST holds all three. */
#define CLIENT_NAME_MAX 1024

/* A name has no spaces, line ends or anything else outside of printable ASCII: CLIENT LIST stays one line of words.
 * False after having answered with an error. */
bool client_name_check(struct call *call, struct slice name);

/* Gives the client that name, which has been checked; none when it is empty. */
void client_name_set(struct call *call, struct slice name);

#endif
