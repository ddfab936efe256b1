/* Users: passwords and selectors, and the rules that make them. Contract in user.h.
 *
 * Principal entry points: acl_user_apply_words, acl_user_check, acl_user_describe.
 * See also: selector.c (rules for commands, keys and channels), acl.c (the table). Threads: one owner. */
#include "acl/user.h"

#include <ctype.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"

_Static_assert(ACL_DIGEST_SIZE == SHA256_DIGEST_SIZE, "passwords are kept as SHA-256");

/* ---- Life ----------------------------------------------------------------------------------------- */

static struct acl_user *user_alloc(struct slice name)
{
    struct acl_user *user = mem_calloc(1, sizeof *user);
    user->refs = 1;
    user->name = mem_strndup(name.data, name.size);
    return user;
}

static struct acl_selector *add_selector(struct acl_user *user)
{
    user->selectors = mem_realloc(user->selectors, (user->selector_count + 1) * sizeof *user->selectors);
    return &user->selectors[user->selector_count++];
}

struct acl_user *acl_user_new(const struct acl_terms *terms, struct slice name)
{
    struct acl_user *user = user_alloc(name);
    acl_selector_init(add_selector(user), terms->catalog, terms->all_channels);
    return user;
}

struct acl_user *acl_user_copy(const struct acl_user *user, const struct acl_catalog *catalog)
{
    struct acl_user *copy = user_alloc(slice_from_string(user->name));
    copy->is_on = user->is_on;
    copy->needs_no_password = user->needs_no_password;
    copy->skips_sanitizing = user->skips_sanitizing;
    if (user->password_count > 0) {
        copy->passwords = mem_alloc(user->password_count * sizeof *copy->passwords);
        memcpy(copy->passwords, user->passwords, user->password_count * sizeof *copy->passwords);
        copy->password_count = user->password_count;
    }
    for (uint32_t i = 0; i < user->selector_count; i++)
        acl_selector_copy(add_selector(copy), &user->selectors[i], catalog);
    return copy;
}

struct acl_user *acl_user_ref(struct acl_user *user)
{
    user->refs++;
    return user;
}

/* All but the first `kept`. */
static void drop_selectors(struct acl_user *user, uint32_t kept)
{
    while (user->selector_count > kept)
        acl_selector_done(&user->selectors[--user->selector_count]);
}

void acl_user_unref(struct acl_user *user)
{
    if (user == NULL || --user->refs > 0)
        return;
    drop_selectors(user, 0);
    mem_free(user->selectors);
    mem_free(user->passwords);
    mem_free(user->name);
    mem_free(user);
}

void acl_user_take(struct acl_user *user, struct acl_user *from)
{
    struct acl_user before = *user;
    *user = *from;
    user->refs = before.refs;
    user->name = before.name;
    user->is_deleted = before.is_deleted;
    before.refs = from->refs;
    before.name = from->name;
    before.is_deleted = from->is_deleted;
    *from = before;
}

bool acl_user_name_is_sound(struct slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] == '\0' || isspace((unsigned char)name.data[i]))
            return false;
    return name.size > 0 && name.size <= ACL_USER_NAME_MAX;
}

/* ---- Passwords ------------------------------------------------------------------------------------ */

static void digest_of(struct slice password, struct acl_password *ret_password)
{
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, password.size, (const uint8_t *)password.data);
    sha256_digest(&context, ACL_DIGEST_SIZE, ret_password->digest);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_digest(struct slice text, struct acl_password *ret_password)
{
    if (text.size != (size_t)2 * ACL_DIGEST_SIZE)
        return false;
    for (size_t i = 0; i < ACL_DIGEST_SIZE; i++) {
        int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_password->digest[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

void acl_password_format(const struct acl_password *password, char ret_text[2 * ACL_DIGEST_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < ACL_DIGEST_SIZE; i++) {
        ret_text[2 * i] = digits[password->digest[i] >> 4];
        ret_text[2 * i + 1] = digits[password->digest[i] & 15];
    }
    ret_text[2 * ACL_DIGEST_SIZE] = '\0';
}

/* The place of the password, or the number of passwords. Looks at all, and at all of each. */
static uint32_t find_password(const struct acl_user *user, const struct acl_password *password)
{
    uint32_t found = user->password_count;
    for (uint32_t i = 0; i < user->password_count; i++)
        if (memeql_sec(user->passwords[i].digest, password->digest, ACL_DIGEST_SIZE))
            found = i;
    return found;
}

bool acl_user_password_fits(const struct acl_user *user, struct slice password)
{
    struct acl_password given;
    digest_of(password, &given);
    bool fits = find_password(user, &given) < user->password_count;
    return user->is_on && (user->needs_no_password || fits);
}

static enum acl_rule_status add_password(struct acl_user *user, const struct acl_password *password)
{
    user->needs_no_password = false;
    if (find_password(user, password) < user->password_count)
        return ACL_RULE_OK;
    if (user->password_count >= ACL_PASSWORDS_MAX)
        return ACL_RULE_LIMIT;
    user->passwords = mem_realloc(user->passwords, (user->password_count + 1) * sizeof *user->passwords);
    user->passwords[user->password_count++] = *password;
    return ACL_RULE_OK;
}

static enum acl_rule_status remove_password(struct acl_user *user, const struct acl_password *password)
{
    uint32_t place = find_password(user, password);
    if (place == user->password_count)
        return ACL_RULE_NO_SUCH_PASSWORD;
    user->password_count--;
    memmove(&user->passwords[place], &user->passwords[place + 1],
            (user->password_count - place) * sizeof *user->passwords);
    return ACL_RULE_OK;
}

/* ">password", "<password", "#digest", "!digest". */
static enum acl_rule_status apply_password(struct acl_user *user, struct slice rule)
{
    struct acl_password password;
    struct slice text = slice_make(rule.data + 1, rule.size - 1);
    bool is_digest = rule.data[0] == '#' || rule.data[0] == '!';
    if (!is_digest)
        digest_of(text, &password);
    else if (!parse_digest(text, &password))
        return ACL_RULE_BAD_HASH;
    return rule.data[0] == '>' || rule.data[0] == '#' ? add_password(user, &password)
                                                      : remove_password(user, &password);
}

/* ---- Rules ---------------------------------------------------------------------------------------- */

/* "(rule rule …)". */
static enum acl_rule_status apply_selector(struct acl_user *user, const struct acl_terms *terms,
                                           struct slice rule)
{
    if (rule.size < 2 || rule.data[rule.size - 1] != ')')
        return ACL_RULE_SYNTAX;
    if (user->selector_count > ACL_SELECTORS_MAX)
        return ACL_RULE_LIMIT;
    struct acl_selector selector;
    acl_selector_init(&selector, terms->catalog, terms->all_channels);
    enum acl_rule_status status = ACL_RULE_OK;
    size_t end = rule.size - 1;
    for (size_t begin = 1; begin < end && status == ACL_RULE_OK;) {
        const char *blank = memchr(rule.data + begin, ' ', end - begin);
        size_t stop = blank != NULL ? (size_t)(blank - rule.data) : end;
        struct slice inner = slice_make(rule.data + begin, stop - begin);
        /* Written down before another rule it would end the selector. */
        if (inner.size > 0 && inner.data[inner.size - 1] == ')')
            status = ACL_RULE_SYNTAX;
        else
            status = acl_selector_apply(&selector, terms->catalog, inner);
        begin = stop + 1;
    }
    if (status == ACL_RULE_OK)
        *add_selector(user) = selector;
    else
        acl_selector_done(&selector);
    return status;
}

static void forget_passwords(struct acl_user *user)
{
    user->password_count = 0;
    user->needs_no_password = false;
}

static void reset(struct acl_user *user, const struct acl_terms *terms)
{
    forget_passwords(user);
    drop_selectors(user, 0);
    user->is_on = user->skips_sanitizing = false;
    acl_selector_init(add_selector(user), terms->catalog, terms->all_channels);
}

/* Rules that are words. False: it is none. */
static bool apply_word(struct acl_user *user, const struct acl_terms *terms, struct slice rule)
{
    if (slice_equal_nocase(rule, "on"))
        user->is_on = true;
    else if (slice_equal_nocase(rule, "off"))
        user->is_on = false;
    else if (slice_equal_nocase(rule, "sanitize-payload"))
        user->skips_sanitizing = false;
    else if (slice_equal_nocase(rule, "skip-sanitize-payload"))
        user->skips_sanitizing = true;
    else if (slice_equal_nocase(rule, "resetpass"))
        forget_passwords(user);
    else if (slice_equal_nocase(rule, "clearselectors"))
        drop_selectors(user, 1);
    else if (slice_equal_nocase(rule, "reset"))
        reset(user, terms);
    else if (slice_equal_nocase(rule, "nopass")) {
        forget_passwords(user);
        user->needs_no_password = true;
    } else
        return false;
    return true;
}

enum acl_rule_status acl_user_apply(struct acl_user *user, const struct acl_terms *terms, struct slice rule)
{
    if (rule.size == 0 || apply_word(user, terms, rule))
        return ACL_RULE_OK;
    switch (rule.data[0]) {
    case '>':
    case '<':
    case '#':
    case '!': return apply_password(user, rule);
    case '(': return apply_selector(user, terms, rule);
    default: return acl_selector_apply(&user->selectors[0], terms->catalog, rule);
    }
}

/* How many words make the rule that begins here: more than one of a selector that is spread over several, 0 when nothing closes
 * that. *ret_rule is the rule; `joined` holds it when it is put together. */
static uint32_t next_rule(const struct slice *words, uint32_t count, struct buf *joined,
                          struct slice *ret_rule)
{
    *ret_rule = words[0];
    bool opens = words[0].size > 0 && words[0].data[0] == '(';
    if (!opens || words[0].data[words[0].size - 1] == ')')
        return 1;
    buf_clear(joined);
    buf_append_slice(joined, words[0]);
    for (uint32_t i = 1; i < count; i++) {
        buf_append_char(joined, ' ');
        buf_append_slice(joined, words[i]);
        if (words[i].size > 0 && words[i].data[words[i].size - 1] == ')') {
            *ret_rule = buf_slice(joined);
            return i + 1;
        }
    }
    return 0;
}

bool acl_user_apply_words(struct acl_user *user, const struct acl_terms *terms, const struct slice *words,
                          uint32_t count, struct acl_mistake *ret_mistake)
{
    struct buf joined = {0};
    *ret_mistake = (struct acl_mistake){.status = count > ACL_WORDS_MAX ? ACL_RULE_LIMIT : ACL_RULE_OK};
    for (uint32_t i = 0; i < count && ret_mistake->status == ACL_RULE_OK && !ret_mistake->is_open;) {
        struct slice rule;
        uint32_t taken = next_rule(words + i, count - i, &joined, &rule);
        ret_mistake->is_open = taken == 0;
        if (taken > 0)
            ret_mistake->status = acl_user_apply(user, terms, rule);
        if (ret_mistake->is_open || ret_mistake->status != ACL_RULE_OK)
            buf_append_slice(&ret_mistake->rule, rule);
        i += taken;
    }
    buf_done(&joined);
    return ret_mistake->status == ACL_RULE_OK && !ret_mistake->is_open;
}

void acl_mistake_done(struct acl_mistake *mistake)
{
    buf_done(&mistake->rule);
}

void acl_user_describe(const struct acl_user *user, struct buf *ret_text)
{
    buf_append_string(ret_text, user->name);
    buf_append_string(ret_text, user->is_on ? " on" : " off");
    if (user->needs_no_password)
        buf_append_string(ret_text, " nopass");
    buf_append_string(ret_text, user->skips_sanitizing ? " skip-sanitize-payload" : " sanitize-payload");
    for (uint32_t i = 0; i < user->password_count; i++) {
        char digest[2 * ACL_DIGEST_SIZE + 1];
        acl_password_format(&user->passwords[i], digest);
        buf_printf(ret_text, " #%s", digest);
    }
    for (uint32_t i = 0; i < user->selector_count; i++) {
        buf_append_string(ret_text, i == 0 ? " " : " (");
        acl_selector_describe(&user->selectors[i], ret_text);
        if (i > 0)
            buf_append_char(ret_text, ')');
    }
}

/* ---- Use ------------------------------------------------------------------------------------------ */

enum acl_verdict acl_user_check(const struct acl_user *user, const struct acl_catalog *catalog,
                                const struct acl_request *request, uint32_t *ret_index)
{
    enum acl_verdict worst = ACL_ALLOWED;
    *ret_index = 0;
    for (uint32_t i = 0; i < user->selector_count; i++) {
        uint32_t index;
        enum acl_verdict verdict = acl_selector_check(&user->selectors[i], catalog, request, &index);
        if (verdict == ACL_ALLOWED)
            return ACL_ALLOWED;
        if (verdict > worst || (verdict == worst && index > *ret_index)) {
            worst = verdict;
            *ret_index = index;
        }
    }
    return worst;
}

bool acl_user_allows_channel(const struct acl_user *user, struct slice channel, bool is_pattern)
{
    for (uint32_t i = 0; i < user->selector_count; i++)
        if (acl_selector_allows_channel(&user->selectors[i], channel, is_pattern))
            return true;
    return false;
}

bool acl_user_reads_all_keys(const struct acl_user *user, const struct acl_catalog *catalog,
                             const struct acl_request *request)
{
    for (uint32_t i = 0; i < user->selector_count; i++)
        if (acl_selector_reads_all_keys(&user->selectors[i], catalog, request))
            return true;
    return false;
}

bool acl_user_is_free(const struct acl_user *user)
{
    for (uint32_t i = 0; i < user->selector_count; i++)
        if (user->selectors[i].all_commands && user->selectors[i].all_keys)
            return true;
    return false;
}

bool acl_user_is_wholly_free(const struct acl_user *user)
{
    for (uint32_t i = 0; i < user->selector_count; i++)
        if (user->selectors[i].all_commands && user->selectors[i].all_keys && user->selectors[i].all_channels)
            return true;
    return false;
}
