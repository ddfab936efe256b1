/* The one vocabulary of return values: what a function that can fail answers.
 *
 * Outputs are named `ret_x` and are written only when ST_OK is returned. */
#ifndef SKUA_BASE_STATUS_H
#define SKUA_BASE_STATUS_H

enum status {
    ST_OK = 0,
    ST_AGAIN,   /* nothing now; ask again when the source says it is ready */
    ST_EOF,     /* the other side has closed in an orderly way */
    ST_NOMEM,   /* a size that a user chose could not be allocated */
    ST_INVALID, /* the input is malformed */
    ST_RANGE,   /* the input is well formed, its value is not allowed */
    ST_NOT_FOUND,
    ST_EXISTS,
    ST_LIMIT,       /* a configured or built-in limit was reached */
    ST_IO,          /* the operating system refused; errno says why */
    ST_UNSUPPORTED, /* this build or this platform cannot do it */
};

/* A short lower-case text for logs. Never NULL. */
const char *status_text(enum status status);

#endif
