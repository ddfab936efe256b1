/* INFO. Executor only. */
#include "exec/call.h"
#include "gen/args.h"
#include "observe/metrics.h"
#include "observe/observe.h"

void cmd_info(struct call *call, const struct args_info *args)
{
    struct buf text = {0};
    metrics_info(observe_of(call->exec)->metrics, args->section, args->section_count, &text);
    reply_verbatim(call->out, "txt", buf_slice(&text));
    buf_done(&text);
}
