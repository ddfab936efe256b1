/* What is known of commands. Entry, threads, invariants: see catalogue.h. */
#include "cli/catalogue.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

#define REPEATED_MAX 40 /* a longer text is not written twice to say that it can be repeated */

/* ---- The list ------------------------------------------------------------------------------------------------ */

/* Where `name` is, or would be; whether it is there. Names are compared without regard to case. */
static bool locate(const struct catalogue *catalogue, const char *name, size_t *ret_index)
{
    size_t low = 0, high = catalogue->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcasecmp(catalogue->commands[middle]->name, name);
        if (order == 0) {
            *ret_index = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_index = low;
    return false;
}

static void insert(struct catalogue *catalogue, size_t index, const struct catalogue_command *command)
{
    if (catalogue->count == catalogue->capacity) {
        catalogue->capacity = 2 * catalogue->capacity + 16;
        catalogue->commands =
            mem_realloc(catalogue->commands, catalogue->capacity * sizeof(catalogue->commands[0]));
    }
    const struct catalogue_command **place = catalogue->commands + index;
    memmove(place + 1, place, (catalogue->count - index) * sizeof(place[0]));
    *place = command;
    catalogue->count++;
}

struct catalogue *catalogue_new(void)
{
    struct catalogue *catalogue = mem_calloc(1, sizeof(*catalogue));
    size_t index;
    for (size_t i = 0; i < catalogue_builtin_count; i++)
        if (!locate(catalogue, catalogue_builtin[i].name, &index))
            insert(catalogue, index, &catalogue_builtin[i]);
    return catalogue;
}

void catalogue_free(struct catalogue *catalogue)
{
    if (catalogue == NULL)
        return;
    for (size_t i = 0; i < catalogue->block_count; i++)
        mem_free(catalogue->blocks[i]);
    mem_free(catalogue->blocks);
    mem_free(catalogue->commands);
    mem_free(catalogue);
}

const struct catalogue_command *catalogue_find(const struct catalogue *catalogue, const struct slice *words,
                                               size_t count, size_t *ret_words)
{
    struct buf name = {0};
    const struct catalogue_command *found = NULL;
    for (size_t length = 1; length <= 2 && length <= count; length++) {
        size_t index;
        if (length > 1)
            buf_append_char(&name, ' ');
        buf_append_slice(&name, words[length - 1]);
        if (!locate(catalogue, buf_string(&name), &index))
            continue;
        found = catalogue->commands[index];
        if (ret_words != NULL)
            *ret_words = length;
    }
    buf_done(&name);
    return found;
}

/* ---- Syntax -------------------------------------------------------------------------------------------------- */

static void append_bare(struct buf *text, const struct catalogue_argument *argument)
{
    switch (argument->kind) {
    case CATALOGUE_TOKEN: buf_append_string(text, argument->token != NULL ? argument->token : ""); break;
    case CATALOGUE_BLOCK: catalogue_append_syntax(text, argument->args, argument->arg_count); break;
    case CATALOGUE_ONEOF: {
        bool bracketed = argument->token != NULL || !argument->optional;
        buf_append_string(text, bracketed ? "<" : "");
        for (size_t i = 0; i < argument->arg_count; i++) {
            buf_append_string(text, i > 0 ? " | " : "");
            catalogue_append_argument(text, &argument->args[i]);
        }
        buf_append_string(text, bracketed ? ">" : "");
        break;
    }
    default: buf_append_string(text, argument->name);
    }
}

void catalogue_append_argument(struct buf *text, const struct catalogue_argument *argument)
{
    struct buf bare = {0};
    append_bare(&bare, argument);
    buf_append_string(text, argument->optional ? "[" : "");
    if (argument->token != NULL && argument->kind != CATALOGUE_TOKEN)
        buf_printf(text, "%s ", argument->token);
    buf_append_slice(text, buf_slice(&bare));
    if (argument->multiple) {
        buf_append_string(text, " [");
        if (argument->multiple_token && argument->token != NULL)
            buf_printf(text, "%s ", argument->token);
        if (bare.size <= REPEATED_MAX) {
            buf_append_slice(text, buf_slice(&bare));
            buf_append_char(text, ' ');
        }
        buf_append_string(text, "...]");
    }
    buf_append_string(text, argument->optional ? "]" : "");
    buf_done(&bare);
}

void catalogue_append_syntax(struct buf *text, const struct catalogue_argument *args, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_append_string(text, i > 0 ? " " : "");
        catalogue_append_argument(text, &args[i]);
    }
}

/* ---- COMMAND DOCS -------------------------------------------------------------------------------------------- */

static void *keep(struct catalogue *catalogue, void *block)
{
    catalogue->blocks =
        mem_realloc(catalogue->blocks, (catalogue->block_count + 1) * sizeof(catalogue->blocks[0]));
    catalogue->blocks[catalogue->block_count++] = block;
    return block;
}

static bool is_text(const struct skua_reply *reply)
{
    return reply->type == SKUA_STRING || reply->type == SKUA_STATUS || reply->type == SKUA_VERBATIM;
}

static bool is_list(const struct skua_reply *reply)
{
    return reply->type == SKUA_ARRAY || reply->type == SKUA_MAP || reply->type == SKUA_SET;
}

/* The value of a key in a map, or in the flat array that RESP2 has for one. */
static const struct skua_reply *value_of(const struct skua_reply *map, const char *key)
{
    for (size_t i = 0; is_list(map) && i + 1 < map->element_count; i += 2)
        if (is_text(&map->elements[i]) && strcmp(map->elements[i].string, key) == 0)
            return &map->elements[i + 1];
    return NULL;
}

/* A text of printable ASCII: a hint goes to the terminal, and its width must be known. */
static const char *text_of(struct catalogue *catalogue, const struct skua_reply *map, const char *key)
{
    const struct skua_reply *value = value_of(map, key);
    if (value == NULL || !is_text(value))
        return NULL;
    char *text = keep(catalogue, mem_strndup(value->string, value->length));
    for (char *c = text; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c) || (unsigned char)*c > 0x7e)
            *c = ' ';
    return text;
}

static bool has_flag(const struct skua_reply *map, const char *flag)
{
    const struct skua_reply *flags = value_of(map, "flags");
    for (size_t i = 0; flags != NULL && is_list(flags) && i < flags->element_count; i++)
        if (is_text(&flags->elements[i]) && strcmp(flags->elements[i].string, flag) == 0)
            return true;
    return false;
}

static enum catalogue_kind kind_of(const struct skua_reply *map)
{
    static const struct {
        const char *type;
        enum catalogue_kind kind;
    } kinds[] = {
        {"integer", CATALOGUE_INTEGER},  {"unix-time", CATALOGUE_INTEGER}, {"double", CATALOGUE_DOUBLE},
        {"pure-token", CATALOGUE_TOKEN}, {"oneof", CATALOGUE_ONEOF},       {"block", CATALOGUE_BLOCK},
    };
    const struct skua_reply *type = value_of(map, "type");
    for (size_t i = 0; type != NULL && is_text(type) && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(type->string, kinds[i].type) == 0)
            return kinds[i].kind;
    return CATALOGUE_WORD;
}

static const struct catalogue_argument *
read_arguments(struct catalogue *catalogue, const struct skua_reply *list, unsigned depth, size_t *ret_count)
{
    *ret_count = 0;
    if (list == NULL || !is_list(list) || list->element_count == 0 || depth > CATALOGUE_DEPTH_MAX)
        return NULL;
    struct catalogue_argument *args = keep(catalogue, mem_calloc(list->element_count, sizeof(*args)));
    for (size_t i = 0; i < list->element_count; i++) {
        const struct skua_reply *map = &list->elements[i];
        struct catalogue_argument *argument = &args[i];
        argument->kind = kind_of(map);
        argument->name = text_of(catalogue, map, "display_text");
        if (argument->name == NULL)
            argument->name = text_of(catalogue, map, "name");
        if (argument->name == NULL)
            argument->name = "arg";
        argument->token = text_of(catalogue, map, "token");
        argument->optional = has_flag(map, "optional");
        argument->multiple = has_flag(map, "multiple");
        argument->multiple_token = has_flag(map, "multiple_token");
        argument->args =
            read_arguments(catalogue, value_of(map, "arguments"), depth + 1, &argument->arg_count);
    }
    *ret_count = list->element_count;
    return args;
}

/* "client|list" -> "CLIENT LIST" */
static char *shown_name(struct catalogue *catalogue, const struct skua_reply *name)
{
    char *shown = keep(catalogue, mem_strndup(name->string, name->length));
    for (char *c = shown; *c != '\0'; c++)
        *c = *c == '|' || iscntrl((unsigned char)*c) ? ' ' : (char)toupper((unsigned char)*c);
    return shown;
}

static void add_commands(struct catalogue *catalogue, const struct skua_reply *docs, unsigned depth)
{
    for (size_t i = 0; is_list(docs) && i + 1 < docs->element_count; i += 2) {
        const struct skua_reply *doc = &docs->elements[i + 1];
        size_t index;
        if (!is_text(&docs->elements[i]) || !is_list(doc))
            continue;
        const char *name = shown_name(catalogue, &docs->elements[i]);
        const struct skua_reply *subcommands = value_of(doc, "subcommands");
        if (!locate(catalogue, name, &index)) {
            struct catalogue_command *command = keep(catalogue, mem_calloc(1, sizeof(*command)));
            command->name = name;
            command->summary = text_of(catalogue, doc, "summary");
            command->since = text_of(catalogue, doc, "since");
            command->group = text_of(catalogue, doc, "group");
            command->complexity = text_of(catalogue, doc, "complexity");
            command->replaced_by = text_of(catalogue, doc, "replaced_by");
            command->container = subcommands != NULL;
            command->args = read_arguments(catalogue, value_of(doc, "arguments"), 0, &command->arg_count);
            insert(catalogue, index, command);
        }
        if (subcommands != NULL && depth == 0)
            add_commands(catalogue, subcommands, depth + 1);
    }
}

void catalogue_add_docs(struct catalogue *catalogue, const struct skua_reply *docs)
{
    add_commands(catalogue, docs, 0);
}
