/* From a connect of the program's to a session. Entry points: join. Threads: any.
 *
 * The library makes a connection of its own to the server and asks there (shm/handshake.h). Only when all is well does the
 * program's descriptor change: until then nothing has happened to it, and whatever goes wrong leaves a plain socket that
 * has yet to be connected. */
#ifndef SKUA_PRELOAD_JOIN_H
#define SKUA_PRELOAD_JOIN_H

#include <stdbool.h>
#include <sys/socket.h>

struct settings_server;

/* The server gets this long to answer; a server that is busier than that is spoken to over the socket. */
#define JOIN_TIMEOUT_MS 2000
/* A server that said no is not asked again for so long. */
#define JOIN_REFUSED_MS 2000

/* True: the descriptor is a connected session. False: it is what it was. `address` is what getpeername will say. */
bool join(int fd, struct settings_server *server, const struct sockaddr *address, socklen_t size);

#endif
