/* Access control: the users of a server, and the log of what was denied.
 *
 * Principal entry points: acl_new, acl_find, acl_put, acl_remove, acl_replace_all, acl_authenticate, acl_log_add.
 * Threads: the executor. It knows neither clients nor commands: exec/permit.c brings both together. Decision 017 has the rules.
 *
 * T1  `users` is in the order of their names, no name twice; `strangers`, the user `default`, is always one of them, and the same
 *     one for ever. */
#ifndef SKUA_ACL_ACL_H
#define SKUA_ACL_ACL_H

#include "acl/log.h"
#include "acl/user.h"
#include "base/status.h"

#define ACL_DEFAULT_USER "default"
#define ACL_USERS_MAX    (1u << 20)

/* Users by name. */
struct acl_user_set {
    struct acl_user **users;
    uint32_t count;
    uint32_t capacity;
};

struct acl {
    struct acl_terms terms;
    struct acl_user_set set;
    struct acl_user *strangers; /* whom a connection is before it says who */
    struct acl_log log;
};

/* With the user `default`, who may do everything without a password. */
struct acl *acl_new(const struct acl_catalog *catalog);
void acl_free(struct acl *acl);

/* The rights of `default` in a new server. The caller's. */
struct acl_user *acl_default_user(const struct acl_terms *terms);

/* ---- Sets ----------------------------------------------------------------------------------------- */

/* NULL when there is none. */
struct acl_user *acl_set_find(const struct acl_user_set *set, struct slice name);
/* Takes the reference over. ST_EXISTS, ST_LIMIT: the caller keeps it. */
enum status acl_set_add(struct acl_user_set *set, struct acl_user *user);
void acl_set_done(struct acl_user_set *set);

/* ---- Users ---------------------------------------------------------------------------------------- */

struct acl_user *acl_find(const struct acl *acl, struct slice name);

/* Whether connections need not say who they are. */
bool acl_admits_strangers(const struct acl *acl);

/* Who that is; NULL when the user does not exist, is off, or the password is wrong. */
struct acl_user *acl_authenticate(const struct acl *acl, struct slice name, struct slice password);

/* Gives the rights of `draft`, which is taken over, to the user of that name, or makes it one. Returns the user; NULL: there are too
 * many. */
struct acl_user *acl_put(struct acl *acl, struct acl_user *draft);

/* Not `default`. It stays as it was for those who hold references; is_deleted says so to them. */
void acl_remove(struct acl *acl, struct acl_user *user);

/* Exactly those of the set, and `default` as it is in a new server if that is not among them. The set is empty afterwards. */
void acl_replace_all(struct acl *acl, struct acl_user_set *set);

/* `default` has this password and no other; none when it is empty (`requirepass`). */
void acl_set_default_password(struct acl *acl, struct slice password);

#endif
