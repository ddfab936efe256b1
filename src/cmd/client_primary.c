/* The link to a primary among the clients. Contract in client_primary.h. Threads: executor only. */
#include "cmd/client_primary.h"

#include "base/buf.h"
#include "cmd/client_filter.h"
#include "exec/exec.h"
#include "repl/repl.h"
#include "repl/replica.h"

/* It acts for no user. */
static bool find(const struct client_filter *filter, const struct exec *exec,
                 struct replica_client *ret_client)
{
    if (exec->repl == NULL || !replica_client(exec->repl->replica, ret_client))
        return false;
    return client_filter_passes(filter, &(struct client_facts){
                                            .id = ret_client->id,
                                            .type = "master",
                                            .peer = ret_client->peer,
                                            .local = ret_client->local,
                                            .flags = "M",
                                            .db = ret_client->db,
                                            .age_s = (int64_t)ret_client->age_s,
                                            .idle_s = (int64_t)ret_client->idle_s,
                                        });
}

void client_primary_list(const struct client_filter *filter, const struct exec *exec, struct buf *ret_text)
{
    struct replica_client client;
    if (!find(filter, exec, &client))
        return;
    buf_printf(ret_text, "id=%llu addr=%s laddr=%s fd=-1 name= age=%lld idle=%lld flags=M capa= db=%u",
               (unsigned long long)client.id, client.peer, client.local, (long long)client.age_s,
               (long long)client.idle_s, client.db);
    buf_printf(
        ret_text,
        " sub=0 psub=0 ssub=0 multi=-1 watch=0 qbuf=%llu qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0"
        " obl=0 oll=0 omem=0 tot-mem=%llu events=r cmd=NULL user=(superuser) redir=-1 resp=2"
        " lib-name= lib-ver=\n",
        (unsigned long long)client.unapplied, (unsigned long long)client.unapplied);
}

bool client_primary_kill(const struct client_filter *filter, struct exec *exec)
{
    struct replica_client client;
    if (!find(filter, exec, &client))
        return false;
    replica_drop_link(exec->repl->replica, "CLIENT KILL");
    return true;
}
