/* A small catalog of commands for tests of rules: containers, categories, a command that is open to all. */
#ifndef SKUA_TESTS_UNIT_ACL_CATALOG_H
#define SKUA_TESTS_UNIT_ACL_CATALOG_H

#include "acl/catalog.h"
#include "base/macros.h"

enum { GET, SET, CLIENT, CLIENT_ID, CLIENT_LIST, SELECT, PUBLISH, PSUBSCRIBE, AUTH, SORT };

#define READ_CATEGORY  1u
#define WRITE_CATEGORY 2u
#define ADMIN_CATEGORY 4u

static const struct acl_command catalog_commands[] = {
    [GET] = {"get", ACL_NO_COMMAND, READ_CATEGORY, false, false},
    [SET] = {"set", ACL_NO_COMMAND, WRITE_CATEGORY, false, false},
    [CLIENT] = {"client", ACL_NO_COMMAND, 0, true, false},
    [CLIENT_ID] = {"client|id", CLIENT, 0, false, false},
    [CLIENT_LIST] = {"client|list", CLIENT, ADMIN_CATEGORY, false, false},
    [SELECT] = {"select", ACL_NO_COMMAND, 0, false, false},
    [PUBLISH] = {"publish", ACL_NO_COMMAND, 0, false, false},
    [PSUBSCRIBE] = {"psubscribe", ACL_NO_COMMAND, 0, false, false},
    [AUTH] = {"auth", ACL_NO_COMMAND, 0, false, true},
    [SORT] = {"sort", ACL_NO_COMMAND, READ_CATEGORY | WRITE_CATEGORY, false, false},
};

static const char *const catalog_categories[] = {"@read", "@write", "@admin"};

static uint32_t find_test_command(struct slice name)
{
    for (uint32_t id = 0; id < ARRAY_COUNT(catalog_commands); id++)
        if (slice_equal_nocase(name, catalog_commands[id].full_name))
            return id;
    return ACL_NO_COMMAND;
}

static const struct acl_catalog test_catalog = {
    .commands = catalog_commands,
    .command_count = ARRAY_COUNT(catalog_commands),
    .categories = catalog_categories,
    .category_count = ARRAY_COUNT(catalog_categories),
    .find = find_test_command,
};

#endif
