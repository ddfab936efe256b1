/* A selector: one set of rights. A request is allowed when one of its user's selectors allows all of it.
 *
 * Principal entry points: acl_selector_apply (one rule), acl_selector_check (one request), acl_selector_describe.
 * Threads: one owner.
 *
 * E1  all_commands: every bit of `commands` is set, and commands to come are allowed too.
 * E2  `rules` are what was said of commands since the last +@all or -@all, which `begins_with_all` remembers: no rule stands
 *     there twice, and none that a later one covers. They give `commands` and `first_words` again.
 * E3  all_keys: `keys` is empty; all_channels: `channels` is empty. Then nothing may be added. */
#ifndef SKUA_ACL_SELECTOR_H
#define SKUA_ACL_SELECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "acl/catalog.h"
#include "base/buf.h"
#include "base/slice.h"

/* What may be done to a key. */
enum acl_access { ACL_READ = 1, ACL_WRITE = 2, ACL_READ_WRITE = 3 };

#define ACL_RULES_MAX 65536 /* patterns of one kind, or rules for commands, of one selector */

/* A pattern of keys or channels; owns its text. */
struct acl_pattern {
    struct slice text;
    uint8_t access; /* of keys: enum acl_access, never 0 */
};

struct acl_patterns {
    struct acl_pattern *items;
    uint32_t count;
    uint32_t capacity;
};

/* What was said of commands: "+" or "-" and a command, a subcommand, a category ("@read") or a command with its first argument. */
struct acl_command_rule {
    char *text; /* lower case, owned */
    bool allows;
};

/* A command that is allowed with this first argument only. */
struct acl_first_word {
    char *word; /* owned */
    uint32_t command;
};

struct acl_selector {
    uint64_t *commands; /* a bit for each id */
    struct acl_command_rule *rules;
    struct acl_first_word *first_words;
    uint32_t rule_count, rule_capacity;
    uint32_t first_word_count, first_word_capacity;
    bool begins_with_all;
    bool all_commands;
    bool all_keys;
    bool all_channels;
    struct acl_patterns keys;
    struct acl_patterns channels;
};

/* Why a rule was not taken. */
enum acl_rule_status {
    ACL_RULE_OK,
    ACL_RULE_SYNTAX,
    ACL_RULE_UNKNOWN_COMMAND,
    ACL_RULE_WORD_OF_SUBCOMMAND,
    ACL_RULE_AFTER_ALL_KEYS,
    ACL_RULE_AFTER_ALL_CHANNELS,
    ACL_RULE_NO_SUCH_PASSWORD,
    ACL_RULE_BAD_HASH,
    ACL_RULE_LIMIT,
};

/* The words of the protocol for it. */
const char *acl_rule_status_text(enum acl_rule_status status);

/* ---- Life ----------------------------------------------------------------------------------------- */

/* Without any right, but for channels if `all_channels`. */
void acl_selector_init(struct acl_selector *selector, const struct acl_catalog *catalog, bool all_channels);
void acl_selector_copy(struct acl_selector *ret_selector, const struct acl_selector *from,
                       const struct acl_catalog *catalog);
void acl_selector_done(struct acl_selector *selector);

/* ---- Rules ---------------------------------------------------------------------------------------- */

/* Applies one rule for commands, keys or channels; what is no such rule is ACL_RULE_SYNTAX. On failure nothing has changed. */
enum acl_rule_status acl_selector_apply(struct acl_selector *selector, const struct acl_catalog *catalog,
                                        struct slice rule);

/* The rules that make it, as ACL LIST and ACL GETUSER show them. */
void acl_selector_describe_commands(const struct acl_selector *selector, struct buf *ret_text);
void acl_selector_describe_keys(const struct acl_selector *selector, struct buf *ret_text);
void acl_selector_describe_channels(const struct acl_selector *selector, struct buf *ret_text);
/* All of them, so that a new selector becomes this one by them. */
void acl_selector_describe(const struct acl_selector *selector, struct buf *ret_text);

/* ---- Requests ------------------------------------------------------------------------------------- */

struct acl_key {
    struct slice name;
    uint8_t access; /* enum acl_access; 0: neither is needed, as long as some pattern fits */
};

/* What a request is and touches. Slices are the caller's. */
struct acl_request {
    uint32_t command;
    const struct slice *argv;
    uint32_t argc;
    const struct acl_key *keys;
    uint32_t key_count;
    const struct slice *channels;
    uint32_t channel_count;
    bool channels_are_patterns; /* allowed only if the very pattern is */
};

/* In the order in which one is more telling than another. */
enum acl_verdict { ACL_ALLOWED, ACL_DENIED_COMMAND, ACL_DENIED_KEY, ACL_DENIED_CHANNEL };

/* *ret_index: which key or channel is denied. */
enum acl_verdict acl_selector_check(const struct acl_selector *selector, const struct acl_catalog *catalog,
                                    const struct acl_request *request, uint32_t *ret_index);

bool acl_selector_allows_channel(const struct acl_selector *selector, struct slice channel, bool is_pattern);

/* Whether it allows the request's command, whatever the keys, and reading every key. */
bool acl_selector_reads_all_keys(const struct acl_selector *selector, const struct acl_catalog *catalog,
                                 const struct acl_request *request);

#endif
