/* What rules need to know of commands. Whoever has the command table makes one (exec/permit.c); tests make their own.
 * Immutable; any thread. */
#ifndef SKUA_ACL_CATALOG_H
#define SKUA_ACL_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define ACL_NO_COMMAND UINT32_MAX

struct acl_command {
    const char *full_name; /* "client|list", lower case */
    uint32_t parent;       /* id of the container, ACL_NO_COMMAND: it is no subcommand */
    uint64_t categories;   /* bits named by the catalog's categories */
    bool is_container;
    bool is_free; /* everybody may use it: AUTH, HELLO, QUIT, RESET */
};

struct acl_catalog {
    const struct acl_command *commands; /* by id */
    uint32_t command_count;
    const char *const *categories; /* names by bit, with their '@' */
    uint32_t category_count;
    /* The id of a full name, without regard to case; ACL_NO_COMMAND when there is none. */
    uint32_t (*find)(struct slice full_name);
};

#endif
