/* HELP. Entry, threads: see help.h. */
#include "cli/help.h"

#include <string.h>
#include <strings.h>

#include <skua/version.h>

#include "cli/format.h"

static void append_field(struct buf *text, const char *name, const char *value, bool colours)
{
    if (value != NULL && *value != '\0')
        buf_printf(text, "  %s%s:%s %s\n", colours ? FORMAT_YELLOW : "", name, colours ? FORMAT_PLAIN : "",
                   value);
}

static void append_command(struct buf *text, const struct catalogue_command *command, bool in_group,
                           bool colours)
{
    buf_printf(text, "\n  %s%s%s", colours ? FORMAT_BOLD : "", command->name, colours ? FORMAT_PLAIN : "");
    if (command->arg_count > 0 || command->container) {
        buf_printf(text, " %s", colours ? FORMAT_DIM : "");
        if (command->container)
            buf_append_string(text, "<subcommand>");
        else
            catalogue_append_syntax(text, command->args, command->arg_count);
        buf_append_string(text, colours ? FORMAT_PLAIN : "");
    }
    buf_append_char(text, '\n');
    append_field(text, "summary", command->summary, colours);
    append_field(text, "since", command->since, colours);
    append_field(text, "deprecated, use", command->replaced_by, colours);
    if (in_group)
        return;
    append_field(text, "group", command->group, colours);
    append_field(text, "complexity", command->complexity, colours);
    for (size_t i = 0; i < command->example_count; i++) {
        if (i == 0)
            buf_printf(text, "  %sexamples:%s\n", colours ? FORMAT_YELLOW : "", colours ? FORMAT_PLAIN : "");
        buf_printf(text, "    > %s\n", command->examples[i].typed);
        for (const char *line = command->examples[i].shown; *line != '\0';) {
            int length = (int)strcspn(line, "\n");
            buf_printf(text, "    %.*s\n", length, line);
            line += length + (line[length] == '\n' ? 1 : 0);
        }
    }
}

static void append_overview(struct buf *text)
{
    buf_printf(text,
               "skua-cli %s\n"
               "  HELP command       what a command does and how it is written, such as HELP SET\n"
               "  HELP @group        the commands of a group, such as HELP @string\n"
               "  HELP <TAB>         all topics\n"
               "  :set hints         show the syntax while typing, :set nohints does not\n"
               "  5 PING             run a command several times\n"
               "  CONNECT host port  go to another server\n"
               "  CLEAR              clear the screen\n"
               "  QUIT               leave; so do EXIT and Ctrl-D\n",
               SKUA_VERSION);
}

/* Whether the words given are the first ones of the name. */
static bool begins_name(const char *name, const struct slice *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(name, " ");
        if (length != words[i].size || strncasecmp(name, words[i].data, length) != 0)
            return false;
        name += length + (name[length] == ' ' ? 1 : 0);
    }
    return true;
}

void help_append(struct buf *text, const struct catalogue *catalogue, const struct slice *words, size_t count,
                 bool colours)
{
    if (count == 0) {
        append_overview(text);
        return;
    }
    bool is_group = words[0].size > 1 && words[0].data[0] == '@';
    struct slice group = is_group ? slice_make(words[0].data + 1, words[0].size - 1) : words[0];
    size_t found = 0;
    for (size_t i = 0; i < catalogue->count; i++) {
        const struct catalogue_command *command = catalogue->commands[i];
        bool asked = is_group ? command->group != NULL && slice_equal_nocase(group, command->group)
                              : begins_name(command->name, words, count);
        if (!asked)
            continue;
        append_command(text, command, is_group, colours);
        found++;
    }
    if (found > 0)
        buf_append_char(text, '\n');
    else
        buf_printf(text, "No %s of this name is known. HELP <TAB> shows all topics.\n",
                   is_group ? "group" : "command");
}
