/* FAILOVER: this primary hands its role over to a replica.
 *
 * See also: repl/failover.h. Threads: executor. */
#include <string.h>

#include "base/num.h"
#include "exec/call.h"
#include "gen/args.h"
#include "repl/failover.h"
#include "repl/repl.h"
#include "repl/replica.h"

struct wanted {
    struct slice host;
    bool has_target, aborts, has_timeout;
    struct failover_options options;
};

/* Each part may be given once. False after having answered. */
static bool parse(struct call *call, const struct slice *words, uint32_t count, struct wanted *ret_wanted)
{
    struct wanted wanted = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (slice_equal_nocase(words[i], "to") && i + 2 < count && !wanted.has_target) {
            wanted.has_target = true;
            wanted.host = words[++i];
            if (!num_parse_i64(words[++i], &wanted.options.port)) {
                call_not_integer(call);
                return false;
            }
        } else if (slice_equal_nocase(words[i], "timeout") && i + 1 < count && !wanted.has_timeout) {
            wanted.has_timeout = true;
            if (!num_parse_i64(words[++i], &wanted.options.timeout_ms)) {
                call_not_integer(call);
                return false;
            }
            if (wanted.options.timeout_ms <= 0 ||
                wanted.options.timeout_ms > INT64_MAX - call->exec->now_ms) {
                reply_error(call->out, "ERR FAILOVER timeout must be greater than 0");
                return false;
            }
        } else if (slice_equal_nocase(words[i], "force") && !wanted.options.force) {
            wanted.options.force = true;
        } else if (slice_equal_nocase(words[i], "abort") && count == 1) {
            wanted.aborts = true;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    *ret_wanted = wanted;
    return true;
}

void cmd_failover(struct call *call, const struct args_failover *args)
{
    struct failover *failover = call->exec->repl->failover;
    struct wanted wanted;
    char host[REPLICA_HOST_MAX + 1];
    if (!parse(call, args->words, args->words_count, &wanted))
        return;
    if (wanted.aborts) {
        if (failover_abort(failover))
            reply_ok(call->out);
        else
            reply_error(call->out, "ERR No failover in progress.");
        return;
    }
    if (wanted.has_target) { /* what is longer than a name can be is no replica's */
        size_t size = wanted.host.size < sizeof host - 1 ? wanted.host.size : sizeof host - 1;
        memcpy(host, wanted.host.data, size);
        host[size] = 0;
        wanted.options.host = host;
    }
    const char *error = failover_begin(failover, &wanted.options);
    if (error)
        reply_error(call->out, "%s", error);
    else
        reply_ok(call->out);
}
