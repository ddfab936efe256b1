/* The users of a server, by name. Contract in acl.h. Threads: the executor. */
#include "acl/acl.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"

/* ---- Sets ----------------------------------------------------------------------------------------- */

static struct slice name_at(const void *set, uint32_t place)
{
    return slice_from_string(((const struct acl_user_set *)set)->users[place]->name);
}

/* Where the name is (true), or belongs. */
static bool locate(const struct acl_user_set *set, struct slice name, uint32_t *ret_place)
{
    return slice_find(name, set->count, name_at, set, ret_place);
}

struct acl_user *acl_set_find(const struct acl_user_set *set, struct slice name)
{
    uint32_t place;
    return locate(set, name, &place) ? set->users[place] : NULL;
}

enum status acl_set_add(struct acl_user_set *set, struct acl_user *user)
{
    uint32_t place;
    if (locate(set, slice_from_string(user->name), &place))
        return ST_EXISTS;
    if (set->count >= ACL_USERS_MAX)
        return ST_LIMIT;
    if (set->count == set->capacity) {
        set->capacity = set->capacity > 0 ? set->capacity * 2 : 8;
        set->users = mem_realloc(set->users, set->capacity * sizeof *set->users);
    }
    memmove(&set->users[place + 1], &set->users[place], (set->count - place) * sizeof *set->users);
    set->users[place] = user;
    set->count++;
    return ST_OK;
}

void acl_set_done(struct acl_user_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        acl_user_unref(set->users[i]);
    mem_free(set->users);
    *set = (struct acl_user_set){0};
}

/* ---- Life ----------------------------------------------------------------------------------------- */

struct acl_user *acl_default_user(const struct acl_terms *terms)
{
    static const char *const rules[] = {"on", "nopass", "~*", "&*", "+@all"};
    struct acl_terms plain = {.catalog = terms->catalog};
    struct acl_user *user = acl_user_new(&plain, SLICE(ACL_DEFAULT_USER));
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        enum acl_rule_status status = acl_user_apply(user, &plain, slice_from_string(rules[i]));
        ASSERT(status == ACL_RULE_OK);
    }
    return user;
}

struct acl *acl_new(const struct acl_catalog *catalog)
{
    struct acl *acl = mem_calloc(1, sizeof *acl);
    acl->terms.catalog = catalog;
    acl->strangers = acl_default_user(&acl->terms);
    acl_set_add(&acl->set, acl->strangers);
    acl_log_init(&acl->log);
    return acl;
}

void acl_free(struct acl *acl)
{
    if (acl == NULL)
        return;
    acl_set_done(&acl->set);
    acl_log_done(&acl->log);
    mem_free(acl);
}

/* ---- Users ---------------------------------------------------------------------------------------- */

struct acl_user *acl_find(const struct acl *acl, struct slice name)
{
    return acl_set_find(&acl->set, name);
}

bool acl_admits_strangers(const struct acl *acl)
{
    return acl->strangers->is_on && acl->strangers->needs_no_password;
}

struct acl_user *acl_authenticate(const struct acl *acl, struct slice name, struct slice password)
{
    struct acl_user *user = acl_find(acl, name);
    return user != NULL && acl_user_password_fits(user, password) ? user : NULL;
}

struct acl_user *acl_put(struct acl *acl, struct acl_user *draft)
{
    struct acl_user *user = acl_find(acl, slice_from_string(draft->name));
    if (user != NULL) {
        acl_user_take(user, draft);
        acl_user_unref(draft);
        return user;
    }
    if (acl_set_add(&acl->set, draft) == ST_OK)
        return draft;
    acl_user_unref(draft);
    return NULL;
}

void acl_remove(struct acl *acl, struct acl_user *user)
{
    uint32_t place;
    ASSERT(user != acl->strangers);
    if (!locate(&acl->set, slice_from_string(user->name), &place))
        return;
    acl->set.count--;
    memmove(&acl->set.users[place], &acl->set.users[place + 1],
            (acl->set.count - place) * sizeof *acl->set.users);
    user->is_deleted = true;
    acl_user_unref(user);
}

void acl_replace_all(struct acl *acl, struct acl_user_set *set)
{
    if (acl_set_find(set, SLICE(ACL_DEFAULT_USER)) == NULL)
        acl_put(acl, acl_default_user(&acl->terms));
    for (uint32_t i = acl->set.count; i-- > 0;) {
        struct acl_user *user = acl->set.users[i];
        if (user != acl->strangers && acl_set_find(set, slice_from_string(user->name)) == NULL)
            acl_remove(acl, user);
    }
    for (uint32_t i = 0; i < set->count; i++)
        acl_put(acl, acl_user_ref(set->users[i]));
    acl_set_done(set);
}

void acl_set_default_password(struct acl *acl, struct slice password)
{
    struct buf rule = {0};
    buf_append_char(&rule, '>');
    buf_append_slice(&rule, password);
    acl_user_apply(acl->strangers, &acl->terms, SLICE("resetpass"));
    acl_user_apply(acl->strangers, &acl->terms, password.size > 0 ? buf_slice(&rule) : SLICE("nopass"));
    buf_done(&rule);
}
