/* Texts of the status values, for logs. Entry: status_text. Threads: any; no state. */
#include "base/status.h"

const char *status_text(enum status status)
{
    switch (status) {
    case ST_OK: return "ok";
    case ST_AGAIN: return "not ready";
    case ST_EOF: return "closed by the other side";
    case ST_NOMEM: return "out of memory";
    case ST_INVALID: return "malformed input";
    case ST_RANGE: return "value out of range";
    case ST_NOT_FOUND: return "not found";
    case ST_EXISTS: return "exists already";
    case ST_LIMIT: return "limit reached";
    case ST_IO: return "refused by the operating system";
    case ST_UNSUPPORTED: return "not supported here";
    }
    return "unknown status";
}
