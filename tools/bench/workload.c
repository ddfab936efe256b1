/* Ready workloads and those that a user describes. Entry and threads: see workload.h.
 *
 * The ready ones do what those of the same name do in redis-benchmark, with keys from the chosen distribution. Those of
 * YCSB follow "Benchmarking Cloud Serving Systems with YCSB" (2010) and the workload files A to F of that project:
 * records of ten fields of 100 bytes, zipf with theta 0.99, and "latest" in D. A record is one string of 1,000 bytes,
 * or a hash. */
#include "bench/workload.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "common/quote.h"

#define LIST_LENGTH 1000u /* what LRANGE reads from has more elements than the longest range */
#define YCSB_SCANS  100u  /* a scan reads 1 to so many records */
#define YCSB_RECORD "1000"
#define YCSB_FIELD  "100"
#define YCSB_KEY    "user"

/* ---- Ready ones --------------------------------------------------------------------------------------------- */

/* %P in a command is the prefix of keys. */
static const struct ready_row {
    const char *id;
    const char *selector; /* another name that selects it, or NULL */
    const char *title;
    const char *command;
    const char *load; /* what --load stores, or NULL */
    bool load_always;
} ready_rows[] = {
    {"ping_inline", "ping", "PING_INLINE", NULL, NULL, false},
    {"ping_mbulk", "ping", "PING_MBULK", "PING", NULL, false},
    {"set", NULL, "SET", "SET %P{key} {value}", "SET %P{key} {value}", false},
    {"get", NULL, "GET", "GET %P{key}", "SET %P{key} {value}", false},
    {"incr", NULL, "INCR", "INCR counter:{key}", NULL, false},
    {"lpush", NULL, "LPUSH", "LPUSH mylist {value}", NULL, false},
    {"rpush", NULL, "RPUSH", "RPUSH mylist {value}", NULL, false},
    {"lpop", NULL, "LPOP", "LPOP mylist", NULL, false},
    {"rpop", NULL, "RPOP", "RPOP mylist", NULL, false},
    {"sadd", NULL, "SADD", "SADD myset element:{key}", NULL, false},
    {"hset", NULL, "HSET", "HSET myhash element:{key} {value}", NULL, false},
    {"spop", NULL, "SPOP", "SPOP myset", NULL, false},
    {"zadd", NULL, "ZADD", "ZADD myzset {rand} element:{key}", NULL, false},
    {"zpopmin", NULL, "ZPOPMIN", "ZPOPMIN myzset", NULL, false},
    {"lrange_100", "lrange", "LRANGE_100 (first 100 elements)", "LRANGE mylist 0 99", "LPUSH mylist {value}",
     true},
    {"lrange_300", "lrange", "LRANGE_300 (first 300 elements)", "LRANGE mylist 0 299", "LPUSH mylist {value}",
     true},
    {"lrange_500", "lrange", "LRANGE_500 (first 500 elements)", "LRANGE mylist 0 499", "LPUSH mylist {value}",
     true},
    {"lrange_600", "lrange", "LRANGE_600 (first 600 elements)", "LRANGE mylist 0 599", "LPUSH mylist {value}",
     true},
    {"mset", NULL, "MSET (10 keys)",
     "MSET %P{key} {value} %P{key} {value} %P{key} {value} %P{key} {value} %P{key} {value} %P{key} {value} "
     "%P{key} {value} %P{key} {value} %P{key} {value} %P{key} {value}",
     "SET %P{key} {value}", false},
};

/* Shares in percent of all operations. */
static const struct ycsb_row {
    char letter;
    unsigned read, update, insert, scan, modify;
    enum key_kind kind;
} ycsb_rows[] = {
    {'a', 50, 50, 0, 0, 0, KEY_ZIPF},  {'b', 95, 5, 0, 0, 0, KEY_ZIPF}, {'c', 100, 0, 0, 0, 0, KEY_ZIPF},
    {'d', 95, 0, 5, 0, 0, KEY_LATEST}, {'e', 0, 0, 5, 95, 0, KEY_ZIPF}, {'f', 50, 0, 0, 0, 50, KEY_ZIPF},
};

/* ---- Building ----------------------------------------------------------------------------------------------- */

/* A workload under construction. */
struct builder {
    struct workload *workload;
    const struct workload_options *options;
    const char *names[WORKLOAD_GROUPS_MAX];
    char *texts[WORKLOAD_GROUPS_MAX]; /* owned until the workload takes them */
    double shares[WORKLOAD_GROUPS_MAX];
    unsigned group_count;
    char *error;
};

static bool begin(struct builder *builder, struct workloads *workloads,
                  const struct workload_options *options, char *error)
{
    if (workloads->count == WORKLOADS_MAX) {
        snprintf(error, WORKLOAD_ERROR_MAX, "at most %u workloads", WORKLOADS_MAX);
        return false;
    }
    struct workload *workload = &workloads->items[workloads->count];
    *workload = (struct workload){.distribution = options->distribution, .sizes = options->sizes};
    workload->settings = (struct template_settings){.digits = options->digits,
                                                    .keys = options->keys,
                                                    .sizes = &workload->sizes,
                                                    .verify = options->verify};
    workload->steps = mem_calloc(WORKLOAD_STEPS_MAX, sizeof *workload->steps);
    *builder = (struct builder){.workload = workload, .options = options, .error = error};
    return true;
}

static void workload_done(struct workload *workload)
{
    for (unsigned i = 0; i < workload->step_count; i++)
        template_done(&workload->steps[i].templ);
    mem_free(workload->steps);
    template_done(&workload->load);
    mem_free(workload->load_text);
    for (unsigned i = 0; i < workload->info.command_count; i++)
        mem_free((char *)workload->info.commands[i]);
    mem_free((void *)workload->info.commands);
    mem_free((void *)workload->info.shares);
    mem_free((char *)workload->info.id);
    mem_free((char *)workload->info.title);
    mem_free((char *)workload->info.definition);
    *workload = (struct workload){0};
}

static bool give_up(struct builder *builder)
{
    for (unsigned i = 0; i < builder->group_count; i++)
        mem_free(builder->texts[i]);
    workload_done(builder->workload);
    return false;
}

/* A group is what results tell apart; `share` in any unit. */
static unsigned add_group(struct builder *builder, const char *text, double share)
{
    unsigned group = builder->group_count++;
    builder->texts[group] = mem_strdup(text);
    builder->shares[group] = share;
    return group;
}

/* Where the prefix of keys belongs, it is put. */
static void expand_prefix(const char *text, const char *prefix, struct buf *out)
{
    for (; *text != '\0'; text++) {
        if (text[0] == '%' && text[1] == 'P') {
            buf_append_string(out, prefix);
            text++;
        } else {
            buf_append_char(out, *text);
        }
    }
}

static bool compile_text(struct builder *builder, const char *text, struct template *ret_template)
{
    struct quote_words words;
    char reason[TEMPLATE_ERROR_MAX] = "quotes do not match";
    bool valid =
        quote_split(slice_from_string(text), &words) &&
        template_compile(ret_template, words.items, words.count, &builder->workload->settings, reason);
    quote_words_done(&words);
    if (!valid)
        snprintf(builder->error, WORKLOAD_ERROR_MAX, "'%.80s': %s", text, reason);
    return valid;
}

/* The share is relative to those of the other steps; finish makes them add up to 1. */
static bool add_step(struct builder *builder, const char *text, unsigned group, double share)
{
    struct workload *workload = builder->workload;
    struct workload_step *step = &workload->steps[workload->step_count];
    *step = (struct workload_step){.group = group, .up_to = share, .follow = -1};
    if (!compile_text(builder, text, &step->templ))
        return false;
    workload->step_count++;
    return true;
}

static bool set_load(struct builder *builder, const char *text, uint64_t count, bool always)
{
    struct workload *workload = builder->workload;
    workload->load_text = mem_strdup(text);
    workload->load_count = count;
    workload->load_always = always;
    return compile_text(builder, text, &workload->load);
}

/* Makes the shares cumulative, and gives the workload its description. */
static void finish(struct builder *builder, struct workloads *workloads, const char *id, const char *title,
                   const char *definition)
{
    struct workload *workload = builder->workload;
    double sum = 0, group_sum = 0;
    for (unsigned i = 0; i < workload->step_count; i++) {
        sum += workload->steps[i].up_to;
        workload->steps[i].up_to = sum;
    }
    for (unsigned i = 0; i < workload->step_count; i++)
        workload->steps[i].up_to /= sum;
    for (unsigned i = 0; i < builder->group_count; i++)
        group_sum += builder->shares[i];
    double *shares = mem_calloc(builder->group_count, sizeof *shares);
    const char **commands = mem_calloc(builder->group_count, sizeof *commands);
    for (unsigned i = 0; i < builder->group_count; i++) {
        shares[i] = builder->shares[i] / group_sum;
        commands[i] = builder->texts[i];
    }
    workload->info = (struct bench_workload){.id = mem_strdup(id),
                                             .title = mem_strdup(title),
                                             .definition = mem_strdup(definition),
                                             .command_count = builder->group_count,
                                             .commands = commands,
                                             .shares = shares};
    workloads->count++;
}

/* ---- Ready workloads ---------------------------------------------------------------------------------------- */

static bool add_ready(struct workloads *workloads, const struct ready_row *row,
                      const struct workload_options *options, char *error)
{
    struct builder builder;
    if (!begin(&builder, workloads, options, error))
        return false;
    struct buf text = {0}, load = {0};
    expand_prefix(row->command != NULL ? row->command : "PING", options->prefix, &text);
    bool valid = true;
    unsigned group = add_group(&builder, buf_string(&text), 1);
    if (row->command == NULL) {
        template_inline(&builder.workload->steps[0].templ, "PING");
        builder.workload->steps[0].up_to = 1;
        builder.workload->steps[0].follow = -1;
        builder.workload->step_count = 1;
    } else {
        valid = add_step(&builder, buf_string(&text), group, 1);
    }
    if (valid && row->load != NULL) {
        expand_prefix(row->load, options->prefix, &load);
        valid = set_load(&builder, buf_string(&load), row->load_always ? LIST_LENGTH : options->keys,
                         row->load_always);
    }
    if (valid)
        finish(&builder, workloads, row->id, row->title, buf_string(&text));
    buf_done(&text);
    buf_done(&load);
    return valid || give_up(&builder);
}

/* ---- YCSB --------------------------------------------------------------------------------------------------- */

/* A command that touches `records` keys, the first from the distribution and the others behind it. */
static void write_scan(struct buf *text, const char *prefix, unsigned records)
{
    buf_clear(text);
    buf_printf(text, "MGET %s{key}", prefix);
    for (unsigned i = 1; i < records; i++)
        buf_printf(text, " %s{next}", prefix);
}

static bool add_scans(struct builder *builder, const char *prefix, double share)
{
    char title[128];
    snprintf(title, sizeof title, "scan: MGET %s{key} %s{next} … (1 to %u keys)", prefix, prefix, YCSB_SCANS);
    unsigned group = add_group(builder, title, share);
    struct buf text = {0};
    bool valid = true;
    for (unsigned records = 1; records <= YCSB_SCANS && valid; records++) {
        write_scan(&text, prefix, records);
        valid = add_step(builder, buf_string(&text), group, share / YCSB_SCANS);
    }
    buf_done(&text);
    return valid;
}

static void write_store(struct buf *text, const char *prefix, const char *number, bool hashes)
{
    buf_clear(text);
    buf_printf(text, hashes ? "HSET %s{%s}" : "SET %s{%s} {value}", prefix, number);
    for (unsigned i = 0; hashes && i < 10; i++)
        buf_printf(text, " field%u {value}", i);
}

/* One operation of one command. */
static bool add_operation(struct builder *builder, const char *name, const char *command, double share)
{
    struct buf title = {0};
    buf_printf(&title, "%s: %s", name, command);
    unsigned group = add_group(builder, buf_string(&title), share);
    buf_done(&title);
    return add_step(builder, command, group, share);
}

/* Reading, and then writing the same record on the same connection. */
static bool add_modify(struct builder *builder, const char *read, const char *write, double share)
{
    if (!add_operation(builder, "modify-read", read, share))
        return false;
    struct workload *workload = builder->workload;
    workload->steps[workload->step_count - 1].follow = (int)workload->step_count;
    /* Never drawn: it comes only behind the other. */
    if (!add_operation(builder, "modify-write", write, 0))
        return false;
    builder->shares[builder->group_count - 1] = share;
    return true;
}

static bool add_ycsb_steps(struct builder *builder, const struct ycsb_row *row, const char *prefix)
{
    bool hashes = builder->options->hashes;
    char read[256], update[256], write[256];
    struct buf store = {0};
    snprintf(read, sizeof read, hashes ? "HGETALL %.200s{key}" : "GET %.200s{key}", prefix);
    snprintf(update, sizeof update,
             hashes ? "HSET %.200s{key} field{rand:10} {value}" : "SET %.200s{key} {value}", prefix);
    snprintf(write, sizeof write,
             hashes ? "HSET %.200s{same} field{rand:10} {value}" : "SET %.200s{same} {value}", prefix);
    write_store(&store, prefix, "new", hashes);
    bool valid = (row->read == 0 || add_operation(builder, "read", read, row->read)) &&
                 (row->update == 0 || add_operation(builder, "update", update, row->update)) &&
                 (row->insert == 0 || add_operation(builder, "insert", buf_string(&store), row->insert)) &&
                 (row->scan == 0 || add_scans(builder, prefix, row->scan)) &&
                 (row->modify == 0 || add_modify(builder, read, write, row->modify));
    write_store(&store, prefix, "key", hashes);
    valid = valid && set_load(builder, buf_string(&store), builder->options->keys, false);
    buf_done(&store);
    return valid;
}

static void define_ycsb(const struct ycsb_row *row, bool hashes, struct buf *out)
{
    const struct {
        unsigned share;
        const char *name;
    } operations[] = {{row->read, "read"},
                      {row->update, "update"},
                      {row->insert, "insert"},
                      {row->scan, "scan of 1 to 100 records"},
                      {row->modify, "read, then write the same"}};
    const char *separator = "";
    for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
        if (operations[i].share == 0)
            continue;
        buf_printf(out, "%s%u %% %s", separator, operations[i].share, operations[i].name);
        separator = ", ";
    }
    buf_printf(out, "; keys %s:%g; records are %s", row->kind == KEY_ZIPF ? "zipf" : "latest", KEY_THETA,
               hashes ? "hashes of 10 fields of 100 bytes" : "strings of 1,000 bytes");
}

static bool add_ycsb(struct workloads *workloads, const struct ycsb_row *row,
                     const struct workload_options *options, char *error)
{
    struct builder builder;
    if (options->hashes && row->scan != 0) {
        snprintf(error, WORKLOAD_ERROR_MAX,
                 "ycsb-%c reads many records with one MGET, so it needs records that are strings",
                 row->letter);
        return false;
    }
    if (!begin(&builder, workloads, options, error))
        return false;
    if (!options->distribution_given)
        builder.workload->distribution = (struct key_distribution){row->kind, KEY_THETA};
    if (!options->sizes_given &&
        !size_distribution_parse(options->hashes ? YCSB_FIELD : YCSB_RECORD, &builder.workload->sizes, error))
        return give_up(&builder);
    if (!add_ycsb_steps(&builder, row, options->prefix_given ? options->prefix : YCSB_KEY))
        return give_up(&builder);
    char id[16], title[16];
    snprintf(id, sizeof id, "ycsb-%c", row->letter);
    snprintf(title, sizeof title, "YCSB %c", row->letter - 'a' + 'A');
    struct buf definition = {0};
    define_ycsb(row, options->hashes, &definition);
    if (options->distribution_given || options->sizes_given)
        buf_append_string(&definition, " (keys or sizes changed by options)");
    finish(&builder, workloads, id, title, buf_string(&definition));
    buf_done(&definition);
    return true;
}

/* ---- By name ------------------------------------------------------------------------------------------------ */

bool workloads_add_default(struct workloads *workloads, const struct workload_options *options,
                           char error[static WORKLOAD_ERROR_MAX])
{
    for (size_t i = 0; i < ARRAY_COUNT(ready_rows); i++)
        if (!add_ready(workloads, &ready_rows[i], options, error))
            return false;
    return true;
}

bool workloads_add_named(struct workloads *workloads, struct slice name,
                         const struct workload_options *options, char error[static WORKLOAD_ERROR_MAX])
{
    bool found = false;
    for (size_t i = 0; i < ARRAY_COUNT(ready_rows); i++) {
        const struct ready_row *row = &ready_rows[i];
        if (!slice_equal_nocase(name, row->id) &&
            (row->selector == NULL || !slice_equal_nocase(name, row->selector)))
            continue;
        found = true;
        if (!add_ready(workloads, row, options, error))
            return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(ycsb_rows); i++) {
        char id[16];
        snprintf(id, sizeof id, "ycsb-%c", ycsb_rows[i].letter);
        if (!slice_equal_nocase(name, id) && !slice_equal_nocase(name, "ycsb"))
            continue;
        found = true;
        if (!add_ycsb(workloads, &ycsb_rows[i], options, error))
            return false;
    }
    if (!found)
        snprintf(error, WORKLOAD_ERROR_MAX, "there is no workload '%.*s'; --workloads lists them",
                 (int)(name.size < 60 ? name.size : 60), name.data);
    return found;
}

void workload_list_help(FILE *out)
{
    for (size_t i = 0; i < ARRAY_COUNT(ready_rows); i++) {
        struct buf text = {0};
        expand_prefix(ready_rows[i].command != NULL ? ready_rows[i].command : "PING as a line of text",
                      "key:", &text);
        fprintf(out, "%-12s %s\n", ready_rows[i].id, buf_string(&text));
        buf_done(&text);
    }
    for (size_t i = 0; i < ARRAY_COUNT(ycsb_rows); i++) {
        struct buf text = {0};
        define_ycsb(&ycsb_rows[i], false, &text);
        fprintf(out, "ycsb-%c       %s\n", ycsb_rows[i].letter, buf_string(&text));
        buf_done(&text);
    }
}

/* ---- Described by the user ---------------------------------------------------------------------------------- */

/* Takes the weight off the end of "GET key:{key} @9". */
static bool split_weight(const char *text, struct slice *ret_command, double *ret_weight)
{
    size_t size = strlen(text);
    *ret_command = slice_make(text, size);
    *ret_weight = 1;
    const char *last = memrchr(text, ' ', size);
    if (last == NULL || last[1] != '@')
        return true;
    *ret_command = slice_make(text, (size_t)(last - text));
    return num_parse_double(slice_from_string(last + 2), ret_weight) && *ret_weight > 0 && *ret_weight <= 1e9;
}

bool workloads_add_commands(struct workloads *workloads, const char *const *commands, unsigned count,
                            const struct workload_options *options, char error[static WORKLOAD_ERROR_MAX])
{
    struct builder builder;
    if (count > WORKLOAD_GROUPS_MAX) {
        snprintf(error, WORKLOAD_ERROR_MAX, "at most %u commands in a mix", WORKLOAD_GROUPS_MAX);
        return false;
    }
    if (!begin(&builder, workloads, options, error))
        return false;
    struct buf definition = {0}, load = {0};
    bool valid = true;
    for (unsigned i = 0; i < count && valid; i++) {
        struct slice command;
        double weight;
        valid = split_weight(commands[i], &command, &weight);
        if (!valid) {
            snprintf(error, WORKLOAD_ERROR_MAX, "'%.80s': the weight behind '@' needs a number above 0",
                     commands[i]);
            break;
        }
        char *text = mem_strndup(command.data, command.size);
        buf_printf(&definition, "%s%s @%g", i == 0 ? "" : ", ", text, weight);
        valid = add_step(&builder, text, add_group(&builder, text, weight), weight);
        mem_free(text);
    }
    expand_prefix("SET %P{key} {value}", options->prefix, &load);
    valid = valid && set_load(&builder, buf_string(&load), options->keys, false);
    if (valid)
        finish(&builder, workloads, count == 1 ? "custom" : "mix", count == 1 ? builder.texts[0] : "mix",
               buf_string(&definition));
    buf_done(&definition);
    buf_done(&load);
    return valid || give_up(&builder);
}

bool workloads_add_words(struct workloads *workloads, const struct slice *words, size_t count,
                         const struct workload_options *options, char error[static WORKLOAD_ERROR_MAX])
{
    struct builder builder;
    if (!begin(&builder, workloads, options, error))
        return false;
    struct buf text = {0};
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            buf_append_char(&text, ' ');
        buf_append_slice(&text, words[i]);
    }
    char reason[TEMPLATE_ERROR_MAX];
    struct workload_step *step = &builder.workload->steps[0];
    *step = (struct workload_step){.up_to = 1, .follow = -1};
    bool valid = template_compile(&step->templ, words, count, &builder.workload->settings, reason);
    if (valid) {
        builder.workload->step_count = 1;
        add_group(&builder, buf_string(&text), 1);
        finish(&builder, workloads, "custom", buf_string(&text), buf_string(&text));
    } else {
        snprintf(error, WORKLOAD_ERROR_MAX, "%s", reason);
    }
    buf_done(&text);
    return valid || give_up(&builder);
}

void workloads_done(struct workloads *workloads)
{
    for (unsigned i = 0; i < workloads->count; i++)
        workload_done(&workloads->items[i]);
    workloads->count = 0;
}
