/* What is said about a cluster, which this server is no part of: ASKING, CLUSTER, READONLY, READWRITE.
 *
 * Clients and tools that can deal with both try one of these and know from the words of the error that there is none.
 * Threads: executor only. */
#include "exec/call.h"
#include "gen/args.h"

static void refuse(struct call *call)
{
    reply_error(call->out, "ERR This instance has cluster support disabled");
}

void cmd_asking(struct call *call, const struct args_asking *args)
{
    refuse(call);
}

void cmd_cluster(struct call *call, const struct args_cluster *args)
{
    refuse(call);
}

void cmd_readonly(struct call *call, const struct args_readonly *args)
{
    refuse(call);
}

void cmd_readwrite(struct call *call, const struct args_readwrite *args)
{
    refuse(call);
}
