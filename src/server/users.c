/* The users of a server that starts: lines of the configuration, or the aclfile.
 *
 * Principal entry points: server_load_users.
 * See also: acl/ (rules), cmd/acl_file.c (the same file while the server runs). Threads: executor. */
#include <errno.h>
#include <string.h>

#include "acl/file.h"
#include "base/alloc.h"
#include "base/file.h"
#include "exec/permit.h"
#include "server/internal.h"

/* One line `user NAME RULE…`. */
static enum status load_line(struct acl *acl, struct acl_user_set *set, const char *const *texts,
                             uint32_t count, struct buf *ret_error)
{
    struct slice *words = mem_alloc(count * sizeof *words);
    for (uint32_t i = 0; i < count; i++)
        words[i] = slice_from_string(texts[i]);
    struct acl_mistake mistake = {0};
    struct acl_user *user = acl_user_new(&acl->terms, words[0]);
    bool sound = acl_user_name_is_sound(words[0]);
    bool applied = sound && acl_user_apply_words(user, &acl->terms, words + 1, count - 1, &mistake);
    if (!sound)
        buf_append_string(ret_error, "Usernames can't contain spaces or null characters");
    else if (mistake.is_open)
        buf_append_string(ret_error, "Unmatched parenthesis in selector definition.");
    else if (!applied)
        buf_printf(ret_error, "Error in user declaration '%s': %s", buf_string(&mistake.rule),
                   acl_rule_status_text(mistake.status));
    else if (acl_set_add(set, acl_user_ref(user)) != ST_OK) {
        buf_printf(ret_error,
                   "Error in user declaration '%s': Duplicate user found. A user can only be defined "
                   "once in config files",
                   texts[0]);
        acl_user_unref(user);
        applied = false;
    }
    acl_mistake_done(&mistake);
    acl_user_unref(user);
    mem_free(words);
    return applied ? ST_OK : ST_INVALID;
}

static enum status load_lines(struct exec *exec, struct buf *ret_error)
{
    const char *const *words;
    const char *where;
    uint32_t count;
    struct acl_user_set set = {0};
    enum status status = ST_OK;
    for (uint32_t i = 0; status == ST_OK && config_user_line(exec->config, i, &words, &count, &where); i++) {
        struct buf reason = {0};
        status = load_line(exec->acl, &set, words, count, &reason);
        if (status != ST_OK)
            buf_printf(ret_error, "%s%s", where, buf_string(&reason));
        buf_done(&reason);
    }
    for (uint32_t i = 0; status == ST_OK && i < set.count; i++)
        acl_put(exec->acl, acl_user_ref(set.users[i]));
    acl_set_done(&set);
    return status;
}

static enum status load_file(struct exec *exec, struct buf *ret_error)
{
    const char *path = exec->config->aclfile;
    struct buf text = {0};
    struct acl_user_set set = {0};
    enum status status = file_read_whole(exec->files, path, ACL_FILE_SIZE_MAX, &text);
    int reason = status == ST_NOT_FOUND ? ENOENT : status == ST_LIMIT ? EFBIG : errno;
    if (status != ST_OK)
        buf_printf(ret_error, "Error loading ACLs, opening file '%s': %s", path, strerror(reason));
    else if (!acl_file_parse(&exec->acl->terms, path, buf_slice(&text), &set, ret_error))
        status = ST_INVALID;
    else
        acl_replace_all(exec->acl, &set);
    acl_set_done(&set);
    buf_done(&text);
    return status;
}

enum status server_load_users(struct exec *exec, struct buf *ret_error)
{
    const char *const *words;
    const char *where;
    uint32_t count;
    bool has_file = exec->config->aclfile[0] != '\0';
    if (has_file && config_user_line(exec->config, 0, &words, &count, &where)) {
        buf_printf(ret_error,
                   "%susers stand in the configuration and in an aclfile: there can be only one of "
                   "both",
                   where);
        return ST_INVALID;
    }
    enum status status = has_file ? load_file(exec, ret_error) : load_lines(exec, ret_error);
    permit_users_changed(exec, NULL);
    return status;
}
