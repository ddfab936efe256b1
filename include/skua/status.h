/* What the calls of libskua answer. */
#ifndef SKUA_STATUS_H
#define SKUA_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

enum skua_status {
    SKUA_OK = 0,
    SKUA_AGAIN, /* nothing to give yet: more bytes, or another call once the descriptor is ready */

    /* The connection, or the stream, cannot go on. */
    SKUA_ERR_IO,       /* the system refused: the text has its reason */
    SKUA_ERR_CLOSED,   /* the server closed the connection */
    SKUA_ERR_TIMEOUT,  /* connect_timeout_ms or command_timeout_ms passed */
    SKUA_ERR_RESOLVE,  /* the host's name has no address */
    SKUA_ERR_PROTOCOL, /* the server sent what is not RESP, or a reply that nobody asked for */
    SKUA_ERR_LIMIT,    /* a reply is beyond struct skua_limits */
    SKUA_ERR_REFUSED, /* the server refused the handshake (HELLO, AUTH, SELECT, CLIENT SETNAME): the text is its own */

    /* The call did nothing; the connection is as it was. */
    SKUA_ERR_MEMORY,      /* the allocator gave none */
    SKUA_ERR_URL,         /* the URL cannot be understood: the text says where */
    SKUA_ERR_UNSUPPORTED, /* a scheme or feature that this build of the library does not have */
    SKUA_ERR_USE,         /* wrong arguments, or a call that is not allowed now */
    SKUA_ERR_FULL,        /* pending_max requests are waiting already */
};

/* A few words on a status, never NULL: "connection closed by the server". */
const char *skua_status_text(enum skua_status status);

#ifdef __cplusplus
}
#endif

#endif
