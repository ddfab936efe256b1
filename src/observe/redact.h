/* Which arguments of a command are secrets: passwords are shown to nobody, neither by SLOWLOG nor by MONITOR.
 * Threads: any; no state. */
#ifndef SKUA_OBSERVE_REDACT_H
#define SKUA_OBSERVE_REDACT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "exec/command.h"

/* What is shown in place of a secret. */
#define REDACTED_TEXT "(redacted)"

/* Whether argv[index] is one. `argv` is the whole request, the command's name first. */
bool redact_is_secret(const struct command *command, const struct slice *argv, uint32_t argc, uint32_t index);

#endif
