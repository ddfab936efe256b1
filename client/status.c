/* Words for what the library's calls answer, and its version. Threads: any. */
#include <skua/client.h>
#include <skua/status.h>
#include <skua/version.h>

const char *skua_status_text(enum skua_status status)
{
    switch (status) {
    case SKUA_OK: return "success";
    case SKUA_AGAIN: return "nothing yet";
    case SKUA_ERR_IO: return "input or output failed";
    case SKUA_ERR_CLOSED: return "connection closed";
    case SKUA_ERR_TIMEOUT: return "timed out";
    case SKUA_ERR_RESOLVE: return "unknown host";
    case SKUA_ERR_PROTOCOL: return "protocol error";
    case SKUA_ERR_LIMIT: return "reply too large";
    case SKUA_ERR_REFUSED: return "refused by the server";
    case SKUA_ERR_MEMORY: return "out of memory";
    case SKUA_ERR_URL: return "invalid URL";
    case SKUA_ERR_UNSUPPORTED: return "not supported";
    case SKUA_ERR_USE: return "wrong use of the library";
    case SKUA_ERR_FULL: return "too many requests are waiting";
    }
    return "unknown status";
}

const char *skua_version(void)
{
    return SKUA_VERSION;
}
