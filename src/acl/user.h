/* A user: may connect or not, passwords, and selectors with rights.
 *
 * Principal entry points: acl_user_new, acl_user_apply (one rule), acl_user_apply_words, acl_user_check, acl_user_describe.
 * Threads: one owner; the executor for those of a server.
 *
 * U1  A user that is in a table (acl.h) changes by acl_user_take only; rules are applied to users that nobody uses.
 * U2  `selectors[0]` is the root, which rules outside of parentheses speak of; it is always there. */
#ifndef SKUA_ACL_USER_H
#define SKUA_ACL_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "acl/selector.h"

/* What rules mean: the commands that there are, and whether a new selector has all channels (acl-pubsub-default). */
struct acl_terms {
    const struct acl_catalog *catalog;
    bool all_channels;
};

#define ACL_DIGEST_SIZE   32   /* SHA-256 */
#define ACL_PASSWORDS_MAX 1024 /* of one user */
#define ACL_SELECTORS_MAX 1024
#define ACL_WORDS_MAX     131072 /* of one list of rules */
#define ACL_USER_NAME_MAX 4096

struct acl_password {
    uint8_t digest[ACL_DIGEST_SIZE];
};

struct acl_user {
    uint32_t refs;
    bool is_on;
    bool needs_no_password; /* any will do */
    bool skips_sanitizing;  /* kept and shown: what RESTORE is given is always looked through */
    bool is_deleted;
    char *name;
    struct acl_password *passwords;
    uint32_t password_count;
    struct acl_selector *selectors;
    uint32_t selector_count;
};

/* A mistake in a list of rules. */
struct acl_mistake {
    enum acl_rule_status status;
    struct buf rule; /* as it stood, a selector whole */
    bool is_open;    /* a parenthesis that nobody closes: `rule` opens it */
};

/* ---- Life ----------------------------------------------------------------------------------------- */

/* Off, without passwords and rights; one reference, the caller's. The name is copied (acl_user_name_is_sound). */
struct acl_user *acl_user_new(const struct acl_terms *terms, struct slice name);
/* Another user of the same name and rights. */
struct acl_user *acl_user_copy(const struct acl_user *user, const struct acl_catalog *catalog);
struct acl_user *acl_user_ref(struct acl_user *user);
/* NULL is allowed. */
void acl_user_unref(struct acl_user *user);

/* Gives `user` everything but the name that `from` has, and `from` what that had. */
void acl_user_take(struct acl_user *user, struct acl_user *from);

/* Not empty, not too long, without blanks and zero bytes. */
bool acl_user_name_is_sound(struct slice name);

/* ---- Rules ---------------------------------------------------------------------------------------- */

/* One rule, a selector in parentheses being one. On failure nothing has changed. */
enum acl_rule_status acl_user_apply(struct acl_user *user, const struct acl_terms *terms, struct slice rule);

/* Rules one after the other, until one is wrong: false, *ret_mistake says which. A selector may be spread over several words.
 * acl_mistake_done afterwards in any case. */
bool acl_user_apply_words(struct acl_user *user, const struct acl_terms *terms, const struct slice *words,
                          uint32_t count, struct acl_mistake *ret_mistake);
void acl_mistake_done(struct acl_mistake *mistake);

/* "name on nopass … ": rules that make a new user this one. */
void acl_user_describe(const struct acl_user *user, struct buf *ret_text);

void acl_password_format(const struct acl_password *password, char ret_text[2 * ACL_DIGEST_SIZE + 1]);

/* ---- Use ------------------------------------------------------------------------------------------ */

/* Whether the user may connect with this password. Takes a time that depends on the number of its passwords only. */
bool acl_user_password_fits(const struct acl_user *user, struct slice password);

/* Whether one selector allows the request; if none does, the most telling reason. *ret_index: which key or channel. */
enum acl_verdict acl_user_check(const struct acl_user *user, const struct acl_catalog *catalog,
                                const struct acl_request *request, uint32_t *ret_index);

bool acl_user_allows_channel(const struct acl_user *user, struct slice channel, bool is_pattern);
bool acl_user_reads_all_keys(const struct acl_user *user, const struct acl_catalog *catalog,
                             const struct acl_request *request);

/* One selector allows all commands and all keys. */
bool acl_user_is_free(const struct acl_user *user);
/* And all channels. */
bool acl_user_is_wholly_free(const struct acl_user *user);

#endif
