/* HELP of every container, from the lines that the generator made of the declarations. Threads: executor only. */
#include "cmd/command_doc.h"
#include "exec/call.h"

void command_run_help(struct call *call)
{
    const struct command_doc *doc = call->command->parent->doc;
    reply_array(call->out, doc->help_count);
    for (uint32_t i = 0; i < doc->help_count; i++)
        reply_status(call->out, doc->help[i]);
}
