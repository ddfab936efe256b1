/* What the environment says: which connections become sessions, and how they wait.
 *
 * Entry points: settings_read, settings_find. Read once, when the library is loaded; constant from then on.
 *
 * | variable            | value                                                                        |
 * |---------------------|------------------------------------------------------------------------------|
 * | SKUA_PRELOAD        | 0 switches the library off                                                   |
 * | SKUA_PRELOAD_SOCKET | paths of Unix sockets, with colons between; @name is an abstract one         |
 * | SKUA_PRELOAD_PORT   | PORT:PATH, with commas between: connections to this port of the own host     |
 * | SKUA_PRELOAD_SPIN_US | how long a wait may look at memory before it sleeps; 0 sleeps at once       |
 * | SKUA_PRELOAD_WATCH  | thread: a thread watches the bells even where the kernel could               |
 * | SKUA_PRELOAD_DEBUG  | 1: counters on standard error when the program ends                          |
 */
#ifndef SKUA_PRELOAD_SETTINGS_H
#define SKUA_PRELOAD_SETTINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SETTINGS_DEFAULT_SOCKET "/run/skua/skua.sock"
#define SETTINGS_SERVERS_MAX    16
#define SETTINGS_SPIN_US        50
#define SETTINGS_SPIN_US_MAX    1000

/* A server that may offer sessions. */
struct settings_server {
    struct sockaddr_un address;
    socklen_t address_size;
    uint16_t port;                 /* of the own host that stands for it; 0: the socket's path does */
    _Atomic uint64_t refused_till; /* CLOCK_MONOTONIC in ns: not asked again before, because it said no */
};

struct settings {
    bool enabled, debug, watch_by_thread;
    uint64_t spin_ns;
    struct settings_server servers[SETTINGS_SERVERS_MAX];
    unsigned server_count;
};

extern struct settings settings;

void settings_read(void);

/* The server that is behind the address, or NULL when that is none of our business. */
struct settings_server *settings_find(const struct sockaddr *address, socklen_t size);

#endif
