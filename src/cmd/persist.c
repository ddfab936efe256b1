/* SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF. Threads: executor only. */
#include "persist/persist.h"
#include "exec/call.h"
#include "gen/args.h"
#include "persist/aof.h"
#include "persist/save.h"

static struct saver *saver_of(const struct call *call)
{
    return call->exec->persist->saver;
}

static void refuse(struct call *call, enum status status)
{
    if (status == ST_EXISTS)
        reply_error(call->out, "ERR Background save already in progress");
    else
        call_oom(call);
}

void cmd_save(struct call *call, const struct args_save *args)
{
    enum status status = saver_begin(saver_of(call));
    if (status == ST_OK)
        saver_block(saver_of(call), call->client);
    else
        refuse(call, status);
}

static void cancel(struct call *call)
{
    switch (saver_cancel(saver_of(call))) {
    case SAVER_CANCELLED: reply_literal(call->out, "+Background saving cancelled\r\n"); break;
    case SAVER_UNSCHEDULED: reply_literal(call->out, "+Scheduled background saving cancelled\r\n"); break;
    case SAVER_HAD_NOTHING:
        reply_error(call->out, "ERR Background saving is currently not in progress or scheduled");
        break;
    }
}

void cmd_bgsave(struct call *call, const struct args_bgsave *args)
{
    if (args->operation == ARGS_BGSAVE_OPERATION_CANCEL) {
        cancel(call);
        return;
    }
    /* A transaction is a unit of which a snapshot has all or nothing. */
    if (call->client->flags & CLIENT_EXECUTING && !saver_is_busy(saver_of(call))) {
        saver_schedule(saver_of(call));
        reply_literal(call->out, "+Background saving scheduled\r\n");
        return;
    }
    enum status status = saver_begin(saver_of(call));
    if (status == ST_OK)
        reply_literal(call->out, "+Background saving started\r\n");
    else
        refuse(call, status);
}

void cmd_lastsave(struct call *call, const struct args_lastsave *args)
{
    struct saver_facts facts;
    saver_facts(saver_of(call), &facts);
    reply_int(call->out, facts.last_time_s);
}

void cmd_bgrewriteaof(struct call *call, const struct args_bgrewriteaof *args)
{
    if (aof_rewrite(call->exec->persist->aof))
        reply_literal(call->out, "+Background append only file rewriting started\r\n");
    else
        reply_error(call->out, "ERR Background append only file rewriting already in progress");
}
