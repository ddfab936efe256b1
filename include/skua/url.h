/* Addresses of servers as URLs.
 *
 *   redis://[[user]:password@]host[:port][/db]       TCP; also valkey:// and skua://
 *   unix://[[user]:password@]/path/of/socket[?db=N]  Unix socket; also redis+unix://
 *   shm://[[user]:password@]/path/of/socket[?db=N]   shared memory with the server behind that Unix socket
 *   rediss://, rdma://                                understood, but SKUA_ERR_UNSUPPORTED when one connects
 *
 * Each may carry ?db=N&protocol=2|3&name=NAME, and shm:// request-ring=BYTES and reply-ring=BYTES, powers of two. An IPv6 address stands in brackets. User, password, host and path may
 * hold %XX. The port defaults to 6379. "redis://host" and "redis://:secret@host/2" are as other clients read them; a
 * lone "user@" without a colon is a user without a password, which is refused. Schemes may be written in any case; a
 * "/" or "?" with nothing behind it says nothing; what is given twice, a key of another name, a zero byte (%00), blanks
 * and fragments ("#") are refused.
 * Threads: any. */
#ifndef SKUA_URL_H
#define SKUA_URL_H

#include <stddef.h>

#include <skua/status.h>

#ifdef __cplusplus
extern "C" {
#endif

enum skua_scheme {
    SKUA_SCHEME_TCP,
    SKUA_SCHEME_UNIX,
    SKUA_SCHEME_TLS,
    SKUA_SCHEME_SHM,
    SKUA_SCHEME_RDMA,
};

#define SKUA_URL_MAX 4096 /* longest URL in bytes */

/* An address taken apart. Strings are decoded, zero-terminated, and lie in `storage`; absent ones are NULL. */
struct skua_url {
    enum skua_scheme scheme;
    const char *host; /* TCP, TLS, RDMA: a name or an address without brackets */
    unsigned port;    /* the same: 1 to 65535 */
    const char *path; /* UNIX, SHM */
    const char *user;
    const char *password;
    const char *name;                  /* for CLIENT SETNAME */
    unsigned db;                       /* 0 when none is given */
    unsigned protocol;                 /* 2 or 3; 0 when none is given */
    unsigned request_ring, reply_ring; /* SHM: bytes; 0 leaves it to the server */
    char storage[SKUA_URL_MAX + 16];
};

/* `text` is zero-terminated. SKUA_ERR_URL: *ret_problem (may be NULL) is set to a text of static storage, *ret_offset
 * (may be NULL) to the byte of `text` that cannot be understood, and *ret_url is as it was. */
enum skua_status skua_url_parse(const char *text, struct skua_url *ret_url, const char **ret_problem,
                                size_t *ret_offset);

#ifdef __cplusplus
}
#endif

#endif
