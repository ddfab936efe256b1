/* Where the server is and who asks: the connection options that all tools share, made into a URL and skua_options.
 *
 * Principal entry points: connect_options_init, connect_rows (for options_parse), connect_options_finish,
 * connect_fill, connect_options_done.
 * A password that stands on the command line is blanked there as soon as it has been read, so that the process list
 * does not show it for longer than that; one from the environment or the prompt never stands there.
 * Threads: the main thread.
 *
 * I1: strings in struct connect_options are its own, never argv's.
 * I2: a later option wins: -u replaces host, port, socket, user and password, and what comes behind it replaces parts
 * of the URL. */
#ifndef SKUA_COMMON_CONNECT_H
#define SKUA_COMMON_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skua/client.h>

#include "base/buf.h"
#include "common/options.h"

#define CONNECT_PORT       6379
#define CONNECT_URLS_MAX   16   /* -u given again and again */
#define CONNECT_SECRET_MAX 4096 /* bytes of a password that is typed */

/* The first of these that is set to something is the password when no option gives one. */
#define CONNECT_SECRET_VARIABLES                                                                             \
    {                                                                                                        \
        "SKUA_AUTH", "REDISCLI_AUTH"                                                                         \
    }

struct connect_options {
    char *host;                        /* a name or an address; never NULL after connect_options_init */
    int64_t port;                      /* 1 to 65535 */
    char *socket;                      /* path; wins over host and port; or NULL */
    bool in_memory;                    /* shm://: shared memory with the server behind the socket */
    unsigned request_ring, reply_ring; /* the same: bytes, or 0 */
    char *user;                        /* or NULL */
    char *password;                    /* or NULL */
    int64_t db;                        /* 0 when none is given */
    bool resp2, resp3;                 /* -2, -3: neither is RESP2 for most purposes, and the tool's choice */
    bool ask_password;
    bool no_auth_warning;
    bool secret_on_command_line; /* a password came by -a, --pass or -u */
    bool secret_in_url;          /* it came by the last -u */
    int64_t connect_timeout_ms;  /* 0: the library's default */

    char *urls[CONNECT_URLS_MAX]; /* of each -u, for who compares servers; own, with their passwords */
    unsigned url_count;
};

/* Server, user, password: -h -p -s -u -a --user --pass --askpass --no-auth-warning. */
#define CONNECT_ROW_COUNT 8
extern const struct option_row connect_rows[CONNECT_ROW_COUNT];
/* Database and protocol: -n -2 -3. Apart, because other tools use -n for something else. */
#define CONNECT_SESSION_ROW_COUNT 3
extern const struct option_row connect_session_rows[CONNECT_SESSION_ROW_COUNT];

/* The defaults: 127.0.0.1:6379, nobody. */
void connect_options_init(struct connect_options *options);
/* Frees the strings; the password is wiped first. */
void connect_options_done(struct connect_options *options);

/* After the options have been read: takes the password from the environment or asks for it on the terminal, and warns
 * on standard error about one on the command line. False: `error` (OPTION_ERROR_MAX bytes) says why. */
bool connect_options_finish(struct connect_options *options, char *error);

/* Appends the URL of the server, without user and password, and with neither db nor protocol. */
void connect_url(const struct connect_options *options, struct buf *url);

/* The server of the -u number `index`, with the credentials and the session options of `all` where the URL has none. To
 * be given back with connect_options_done. */
void connect_options_of_url(const struct connect_options *all, unsigned index,
                            struct connect_options *ret_one);

/* skua_options_init, and then user, password, db and protocol as given. The strings are borrowed. */
void connect_fill(const struct connect_options *options, struct skua_options *ret_options);

/* Appends the server as people know it: "127.0.0.1:6379", "[::1]:6379" or the socket's path. */
void connect_address(const struct connect_options *options, struct buf *text);

#endif
