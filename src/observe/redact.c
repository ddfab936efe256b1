/* Which arguments of a command are secrets.
 *
 * Principal entry points: redact_is_secret.
 * Threads: any; no state. */
#include "observe/redact.h"

#include <string.h>

/* AUTH's arguments all are: the user's name says whose password it is. */
static bool is_secret_of_hello(const struct slice *argv, uint32_t argc, uint32_t index)
{
    for (uint32_t i = 2; i < argc; i++) {
        bool is_auth = slice_equal_nocase(argv[i], "AUTH");
        if (is_auth && (index == i + 1 || index == i + 2))
            return true;
        i += is_auth ? 2 : slice_equal_nocase(argv[i], "SETNAME");
    }
    return false;
}

/* CONFIG SET takes pairs: the value behind the name of an option that holds a password. */
static bool is_secret_of_config_set(const struct slice *argv, uint32_t index)
{
    static const char *const names[] = {"requirepass", "masterauth", "masteruser", "tls-key-file-pass",
                                        "tls-client-key-file-pass"};
    if (index < 3 || index % 2 == 0)
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (slice_equal_nocase(argv[index - 1], names[i]))
            return true;
    return false;
}

/* Rules have passwords in them, and the names of users are half of what it takes to log in. */
static bool is_about_users(const struct command *command)
{
    static const char *const names[] = {"acl|setuser", "acl|getuser", "acl|deluser"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(command->full_name, names[i]) == 0)
            return true;
    return false;
}

bool redact_is_secret(const struct command *command, const struct slice *argv, uint32_t argc, uint32_t index)
{
    if (index == 0 || index >= argc)
        return false;
    if (strcmp(command->full_name, "auth") == 0)
        return true;
    if (is_about_users(command))
        return index >= 2;
    if (strcmp(command->full_name, "hello") == 0)
        return is_secret_of_hello(argv, argc, index);
    if (strcmp(command->full_name, "config|set") == 0)
        return is_secret_of_config_set(argv, index);
    return false;
}
