/* Addresses of a host: a name is looked up by a thread that lives as long as that takes, because the system's lookup
 * cannot be waited for in any other way.
 *
 * Principal entry points: resolve_numeric, resolve_start, resolve_descriptor, resolve_finish, resolve_abandon.
 * Threads: the client's calls these; the lookup's thread touches nothing but the lookup, which is shared and counted,
 * so that a client may go away meanwhile.
 * Memory: a lookup comes from malloc, not from the client's allocator: it may outlive both, and be freed by its own
 * thread. Addresses are the system's (freeaddrinfo). */
#ifndef SKUA_CLIENT_RESOLVE_H
#define SKUA_CLIENT_RESOLVE_H

#include <netdb.h>

#include <skua/status.h>

#include "client/fault.h"

struct lookup;

/* The addresses, when `host` is a number already. SKUA_AGAIN: it is a name. SKUA_ERR_RESOLVE. */
enum skua_status resolve_numeric(const char *host, unsigned port, struct addrinfo **ret_addresses,
                                 struct fault *fault);

/* Begins to look a name up. SKUA_ERR_MEMORY, SKUA_ERR_IO. */
enum skua_status resolve_start(const char *host, unsigned port, struct lookup **ret_lookup,
                               struct fault *fault);

/* Becomes readable when the lookup has ended. Valid until resolve_abandon. */
int resolve_descriptor(const struct lookup *lookup);

/* SKUA_AGAIN: not yet. SKUA_OK: the addresses, at least one, are the caller's. SKUA_ERR_RESOLVE. */
enum skua_status resolve_finish(struct lookup *lookup, struct addrinfo **ret_addresses, struct fault *fault);

/* The caller has no more use for it, at whatever it was. NULL is allowed. */
void resolve_abandon(struct lookup *lookup);

#endif
