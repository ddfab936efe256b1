/* Permissions: what clients may do, as their users (acl/) say. Decision 017 has the rules.
 *
 * Principal entry points: permit_request (dispatch, EXEC), permit_login (AUTH, HELLO), permit_users_changed (whoever changes users).
 * Threads: executor only.
 *
 * P1  CLIENT_RESTRICTED and CLIENT_LIMITED of every client are as its user's rights are now (A3).
 * P2  client->authenticated == has_proved || exec->admits_strangers (A6). */
#ifndef SKUA_EXEC_PERMIT_H
#define SKUA_EXEC_PERMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "acl/acl.h"
#include "base/buf.h"
#include "exec/client.h"
#include "exec/command.h"

struct exec;

/* ---- Life ----------------------------------------------------------------------------------------- */

/* The user `default` with the password of the configuration. */
void permit_init(struct exec *exec);
void permit_done(struct exec *exec);

/* The client is new, or is to be as if it were (RESET): the user `default`, and authenticated if strangers are let in. */
void permit_client_begin(struct client *client);
void permit_client_gone(struct client *client);

/* ---- Requests ------------------------------------------------------------------------------------- */

enum permit_moment {
    PERMIT_ARRIVED, /* the request has come from the client, or has waited and is to be served now */
    PERMIT_QUEUED,  /* EXEC runs it */
};

/* Whether the client's user may make this request. If not, *ret_text is the answer, and the denial has been counted and logged.
 * Only of clients with CLIENT_RESTRICTED need this be asked. */
bool permit_request(struct client *client, const struct command *command, const struct slice *argv,
                    uint32_t argc, enum permit_moment moment, struct buf *ret_text);

/* The same, and the answer is written to the client. */
bool permit_or_answer(struct client *client, const struct command *command, const struct slice *argv,
                      uint32_t argc, enum permit_moment moment);

/* The same for a user, without consequences. The arity must be right. */
bool permit_would(struct exec *exec, const struct acl_user *user, const struct command *command,
                  const struct slice *argv, uint32_t argc, struct buf *ret_text);

/* Whether the request may read keys that its arguments do not name (SORT BY, GET). */
bool permit_reads_all_keys(const struct client *client, const struct command *command,
                           const struct slice *argv, uint32_t argc);

/* ---- Users ---------------------------------------------------------------------------------------- */

/* The client becomes this user if the password is right. False: it is as it was, and the failure has been counted and logged.
 * `word` is how the command was called. */
bool permit_login(struct client *client, struct slice name, struct slice password, struct slice word);

/* Users have changed: clients of `user` (NULL: of any) get their flags anew, whoever listens to what it may not any more and
 * whose user is gone is closed. When it returns nobody reads under the old rights (A5). */
void permit_users_changed(struct exec *exec, const struct acl_user *user);

/* The option `requirepass` has changed. */
void permit_apply_password(struct exec *exec);

/* "default", or what stands for a client that is nobody. */
const char *permit_user_name(const struct client *client);

#endif
