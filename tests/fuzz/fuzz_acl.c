/* Any text is an aclfile or is refused with a reason. What was accepted is written as a file that gives the same users again, and
 * says of requests what the users say who stood in the text. The commands are those of the server. */
#include "acl/file.h"
#include "base/alloc.h"
#include "base/bug.h"
#include "exec/command.h"
#include "fuzz.h"

#define INPUT_MAX 16384

static uint32_t find_command(struct slice name)
{
    const struct command *command = command_lookup_full_name(name);
    return command ? command->id : ACL_NO_COMMAND;
}

static struct acl_command *commands_new(void)
{
    struct acl_command *commands = mem_calloc(command_count, sizeof *commands);
    for (uint32_t id = 0; id < command_count; id++)
        commands[id] = (struct acl_command){
            .full_name = command_by_id[id]->full_name,
            .parent = command_by_id[id]->parent ? command_by_id[id]->parent->id : ACL_NO_COMMAND,
            .categories = command_by_id[id]->categories,
            .is_container = command_by_id[id]->subcommand_count > 0,
        };
    return commands;
}

/* Both allow the same of every command, with a key and a channel. */
static void assert_same_rights(const struct acl_user *a, const struct acl_user *b,
                               const struct acl_catalog *catalog)
{
    static const struct slice words[] = {{"select", 6}, {"0", 1}};
    static const struct acl_key key = {{"key", 3}, ACL_READ};
    for (uint32_t id = 0; id < catalog->command_count; id++) {
        struct acl_request request = {.command = id,
                                      .argv = words,
                                      .argc = 2,
                                      .keys = &key,
                                      .key_count = 1,
                                      .channels = words,
                                      .channel_count = 1};
        uint32_t indices[2];
        if (acl_user_check(a, catalog, &request, &indices[0]) !=
            acl_user_check(b, catalog, &request, &indices[1]))
            BUG("user '%s' has other rights for '%s'", a->name, catalog->commands[id].full_name);
    }
}

static void check_users(const struct acl_terms *terms, const struct acl_user_set *set)
{
    struct buf texts[2] = {0};
    struct buf error = {0};
    struct acl_user_set again;
    acl_file_format(set, &texts[0]);
    /* Rights are given with the rest, so what new users have must not matter. */
    struct acl_terms others = {terms->catalog, !terms->all_channels};
    if (!acl_file_parse(&others, "again", buf_slice(&texts[0]), &again, &error))
        BUG("%s\n%s", buf_string(&error), buf_string(&texts[0]));
    acl_file_format(&again, &texts[1]);
    ASSERT(slice_equal(buf_slice(&texts[0]), buf_slice(&texts[1])));
    for (uint32_t i = 0; i < set->count; i++)
        assert_same_rights(set->users[i], again.users[i], terms->catalog);
    acl_set_done(&again);
    buf_done(&texts[0]);
    buf_done(&texts[1]);
    buf_done(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    struct acl_command *commands = commands_new();
    struct acl_catalog catalog = {commands, command_count, command_category_names, command_category_count,
                                  find_command};
    struct acl_terms terms = {&catalog, size % 2 == 1};
    struct acl_user_set set;
    struct buf error = {0};
    if (acl_file_parse(&terms, "input", slice_make((const char *)bytes, size), &set, &error)) {
        ASSERT(error.size == 0);
        check_users(&terms, &set);
    } else {
        ASSERT(error.size > 0);
    }
    acl_set_done(&set);
    buf_done(&error);
    mem_free(commands);
    return 0;
}
