/* What the generated argument parsers and key functions are made of: see args.h. */
#include "exec/args.h"

#include <ctype.h>

#include "exec/call.h"

#define CONTAINER_NAME_MAX 32

bool args_has_token(const struct slice *argv, uint32_t argc, uint32_t from, const char *lower, size_t size)
{
    for (uint32_t i = from; i < argc; i++) {
        if (args_is(argv[i], lower, size))
            return true;
    }
    return false;
}

int args_add_keys(struct key_reference *ret_keys, int capacity, int count, int64_t first, int64_t last,
                  int64_t step, uint8_t access)
{
    for (int64_t index = first; index <= last; index += step) {
        if (count < capacity)
            ret_keys[count] = (struct key_reference){.index = (uint32_t)index, .access = access};
        count++;
    }
    return count;
}

int args_add_counted_keys(struct key_reference *ret_keys, int capacity, int count, const struct slice *argv,
                          uint32_t argc, uint32_t index, uint8_t access)
{
    int64_t keys;
    if (count < 0 || index >= argc || !num_parse_i64(argv[index], &keys) || keys < 1 ||
        keys > argc - index - 1)
        return -1;
    return args_add_keys(ret_keys, capacity, count, index + 1, index + keys, 1, access);
}

int args_add_keyword_keys(struct key_reference *ret_keys, int capacity, int count, const struct slice *argv,
                          uint32_t argc, uint32_t index, const char *lower, size_t size, unsigned limit,
                          uint8_t access)
{
    while (index < argc && !args_is(argv[index], lower, size))
        index++;
    if (count < 0 || index >= argc || (argc - index - 1) / limit == 0)
        return -1;
    return args_add_keys(ret_keys, capacity, count, index + 1, index + (argc - index - 1) / limit, 1, access);
}

int args_add_option_key(struct key_reference *ret_keys, int capacity, int count, const struct slice *argv,
                        uint32_t argc, uint32_t index, const char *lower, size_t size, uint8_t access)
{
    uint32_t place = 0;
    for (; index + 1 < argc; index++)
        if (args_is(argv[index], lower, size))
            place = ++index;
    if (count < 0 || place == 0)
        return count;
    return args_add_keys(ret_keys, capacity, count, place, place, 1, access);
}

void args_wrong_count(struct call *call)
{
    reply_error(call->out, "ERR wrong number of arguments for '%s' command", call->command->full_name);
}

void args_wrong_subcommand(struct call *call)
{
    const struct command *container = call->command->parent;
    char name[CONTAINER_NAME_MAX];
    size_t size = 0;
    for (const char *c = container->name; *c && size < sizeof(name) - 1; c++)
        name[size++] = (char)toupper((unsigned char)*c);
    name[size] = '\0';
    reply_error(call->out, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
                ARGS_SHOWN(call->argv[1]), name);
}
