/* The configuration at run time: finding options, showing them, changing several at once. See config.h.
 *
 * A change goes through four steps, each over all options of the command before the next begins:
 *     check names  ->  read values  ->  put values in  ->  call handlers
 * The first three cannot leave anything changed behind; when a handler refuses, the values are exchanged back
 * (O2). */
#include "config/config.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/glob.h"
#include "base/role.h"
#include "config/state.h"
#include "config/value.h"

/* ---- Life ----------------------------------------------------------------------------------------- */

struct config *config_new(void)
{
    struct config *config = mem_calloc(1, sizeof *config);
    config->state = mem_calloc(1, sizeof *config->state);
    config->state->file_path = mem_strdup("");
    for (int i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option_info *info = &config_options[i];
        struct config_value value;
        struct buf error = {0};
        if (config_value_parse_text(info, slice_from_string(info->default_text), NULL, &value, &error) !=
            ST_OK)
            BUG("default of option '%s': %s", info->name, buf_string(&error));
        config_value_exchange(config, info, &value);
        buf_done(&error);
    }
    return config;
}

static void free_users(struct config_state *state)
{
    for (uint32_t i = 0; i < state->user_count; i++) {
        for (uint32_t word = 0; word < state->users[i].word_count; word++)
            mem_free(state->users[i].words[word]);
        mem_free(state->users[i].words);
        mem_free(state->users[i].where);
    }
    mem_free(state->users);
}

bool config_user_line(const struct config *config, uint32_t index, const char *const **ret_words,
                      uint32_t *ret_count, const char **ret_where)
{
    if (index >= config->state->user_count)
        return false;
    const struct config_user *user = &config->state->users[index];
    *ret_words = (const char *const *)user->words;
    *ret_count = user->word_count;
    *ret_where = user->where;
    return true;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (int i = 0; i < CONFIG_OPTION_COUNT; i++) {
        struct config_value value = config_value_peek(config, &config_options[i]);
        config_value_done(&config_options[i], &value);
    }
    for (unsigned i = 0; i < config->state->notice_count; i++)
        buf_done(&config->state->notices[i].lines);
    mem_free(config->state->file_path);
    free_users(config->state);
    mem_free(config->state);
    mem_free(config);
}

void config_start(struct config *config)
{
    config->state->started = true;
}

const char *config_file_path(const struct config *config)
{
    return config->state->file_path;
}

void config_on_change(struct config *config, enum config_option option, config_change_fn change,
                      void *context)
{
    config->state->handlers[option] = (struct config_handler){change, context};
}

/* ---- Look ----------------------------------------------------------------------------------------- */

static bool has_name(const struct config_option_info *info, struct slice name)
{
    return slice_equal_nocase(name, info->name) ||
           (info->alias != NULL && slice_equal_nocase(name, info->alias));
}

enum config_option config_option_find(struct slice name)
{
    int option = 0;
    while (option < CONFIG_OPTION_COUNT && !has_name(&config_options[option], name))
        option++;
    return (enum config_option)option;
}

const char *config_option_name(enum config_option option)
{
    return config_options[option].name;
}

void config_value_text(const struct config *config, enum config_option option, struct buf *ret_text)
{
    struct config_value value = config_value_peek(config, &config_options[option]);
    config_value_format(&config_options[option], &value, ret_text);
}

static bool matches_any(const char *name, const struct slice *patterns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (glob_match_nocase(patterns[i], slice_from_string(name)))
            return true;
    }
    return false;
}

uint32_t config_visit(const struct config *config, const struct slice *patterns, uint32_t count,
                      void (*visit)(void *context, const char *name, struct slice value), void *context)
{
    uint32_t visited = 0;
    struct buf text = {0};
    for (int i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const char *names[] = {config_options[i].name, config_options[i].alias};
        for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
            if (names[n] == NULL || !matches_any(names[n], patterns, count))
                continue;
            buf_clear(&text);
            config_value_text(config, (enum config_option)i, &text);
            visit(context, names[n], buf_slice(&text));
            visited++;
        }
    }
    buf_done(&text);
    return visited;
}

/* ---- Change --------------------------------------------------------------------------------------- */

/* One option of a CONFIG SET. `value` is the new one until it is put in, then the old one. */
struct change {
    enum config_option option;
    struct config_value value;
    bool differs;
};

static enum status set_failed(struct buf *ret_error, struct slice name, struct slice reason)
{
    buf_printf(ret_error, "ERR CONFIG SET failed (possibly related to argument '%.*s') - ", (int)name.size,
               name.data);
    buf_append_slice(ret_error, reason);
    return ST_INVALID;
}

static bool is_immutable(const struct config *config, enum config_option option)
{
    if (!config->state->started)
        return false;
    enum config_apply apply = config_options[option].apply;
    return apply == CONFIG_APPLY_START ||
           (apply == CONFIG_APPLY_HANDLER && config->state->handlers[option].change == NULL);
}

/* An unknown name is cut in the answer. */
#define NAME_SHOWN_MAX 128

/* Step one: every name is known, may change, and occurs once. */
static enum status check_names(const struct config *config, const struct slice *pairs, uint32_t count,
                               bool may_protected, struct change *changes, struct buf *ret_error)
{
    for (uint32_t i = 0; i < count; i++) {
        struct slice name = pairs[2 * i];
        enum config_option option = config_option_find(name);
        if (option == CONFIG_OPTION_COUNT) {
            int shown = (int)(name.size < NAME_SHOWN_MAX ? name.size : NAME_SHOWN_MAX);
            buf_printf(ret_error, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", shown,
                       name.data);
            return ST_NOT_FOUND;
        }
        if (is_immutable(config, option))
            return set_failed(ret_error, name, SLICE("can't set immutable config"));
        if (config_options[option].is_protected && !may_protected)
            return set_failed(ret_error, name, SLICE("can't set protected config"));
        for (uint32_t j = 0; j < i; j++) {
            if (changes[j].option == option)
                return set_failed(ret_error, name, SLICE("duplicate parameter"));
        }
        changes[i].option = option;
    }
    return ST_OK;
}

/* Step two. On failure nothing is held. */
static enum status read_values(const struct config *config, const struct slice *pairs, uint32_t count,
                               struct change *changes, struct buf *ret_error)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct config_option_info *info = &config_options[changes[i].option];
        struct config_value base = config_value_peek(config, info);
        struct buf reason = {0};
        enum status status =
            config_value_parse_text(info, pairs[2 * i + 1], &base, &changes[i].value, &reason);
        if (status != ST_OK) {
            set_failed(ret_error, slice_from_string(info->name), buf_slice(&reason));
            buf_done(&reason);
            while (i-- > 0)
                config_value_done(&config_options[changes[i].option], &changes[i].value);
            return status;
        }
        struct buf before = {0};
        config_value_format(info, &base, &before);
        config_value_format(info, &changes[i].value, &reason);
        changes[i].differs = !slice_equal(buf_slice(&before), buf_slice(&reason));
        buf_done(&before);
        buf_done(&reason);
    }
    return ST_OK;
}

/* Step three and its way back: exchanging twice restores. */
static void exchange_values(struct config *config, struct change *changes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        config_value_exchange(config, &config_options[changes[i].option], &changes[i].value);
}

static bool call_handler(struct config *config, const struct change *change, struct buf *ret_reason)
{
    const struct config_handler *handler = &config->state->handlers[change->option];
    if (!config->state->started || !change->differs || handler->change == NULL)
        return true;
    return handler->change(config, handler->context, ret_reason);
}

/* Step four. Returns how many handlers agreed; less than `count` means that the next one refused. */
static uint32_t call_handlers(struct config *config, const struct change *changes, uint32_t count,
                              struct buf *ret_reason)
{
    uint32_t agreed = 0;
    while (agreed < count && call_handler(config, &changes[agreed], ret_reason))
        agreed++;
    return agreed;
}

enum status config_set(struct config *config, const struct slice *pairs, uint32_t count, bool may_protected,
                       struct buf *ret_error)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    /* More pairs than options: check_names finds an unknown name or a duplicate before it runs over the end.
     */
    struct change changes[CONFIG_OPTION_COUNT + 1] = {0};
    enum status status = check_names(config, pairs, count, may_protected, changes, ret_error);
    if (status == ST_OK)
        status = read_values(config, pairs, count, changes, ret_error);
    if (status != ST_OK)
        return status;
    exchange_values(config, changes, count);
    struct buf reason = {0};
    uint32_t agreed = call_handlers(config, changes, count, &reason);
    if (agreed < count) {
        exchange_values(config, changes, count);
        const struct config_option_info *info = &config_options[changes[agreed].option];
        status = set_failed(ret_error, slice_from_string(info->name), buf_slice(&reason));
        buf_clear(&reason);
        if (call_handlers(config, changes, agreed, &reason) < agreed)
            BUG("an option's handler refused the value that was in force before: %s", buf_string(&reason));
    }
    buf_done(&reason);
    for (uint32_t i = 0; i < count; i++)
        config_value_done(&config_options[changes[i].option], &changes[i].value);
    return status;
}

enum status config_assign(struct config *config, enum config_option option, struct slice text,
                          struct buf *ret_error)
{
    ASSERT_ROLE(ROLE_EXECUTOR);
    const struct config_option_info *info = &config_options[option];
    struct config_value base = config_value_peek(config, info), value = {0};
    enum status status = config_value_parse_text(info, text, &base, &value, ret_error);
    if (status != ST_OK)
        return status;
    config_value_exchange(config, info, &value);
    config_value_done(info, &value);
    return ST_OK;
}
