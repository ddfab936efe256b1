/* Configuration: every option's value, where it comes from, and how it changes while the server runs.
 *
 * Principal entry points: config_new, config_load_arguments, config_set, config_visit, config_on_change,
 * config_rewrite_plan_new.
 * Options are declared in config/; `struct config` has one field per option (gen/config_values.h), named like
 * the option with '_' for '-'. Threads: the executor owns the configuration. Fields with _Atomic may be read
 * on any thread, relaxed; strings and lists only by the executor (and by whoever runs before the threads
 * start).
 *
 * O1  Every value satisfies its declaration at any time.
 * O2  A change takes effect wholly or not at all: when a handler refuses, every value is back to what it was
 *     and the handlers that had already acted have been called once more.
 * O3  An option that is fixed at the start, or needs a handler and has none, cannot be changed after config_start. */
#ifndef SKUA_CONFIG_CONFIG_H
#define SKUA_CONFIG_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

/* Words of a list option. */
struct config_strings {
    char **items;
    uint32_t count;
};

/* Numbers of a list option. */
struct config_numbers {
    double *items;
    uint32_t count;
};

/* Classes of client-output-buffer-limit, in the order of enum output_class (exec/port.h). */
enum config_output_class {
    CONFIG_OUTPUT_NORMAL,
    CONFIG_OUTPUT_REPLICA,
    CONFIG_OUTPUT_PUBSUB,
    CONFIG_OUTPUT_CLASS_COUNT,
};

/* 0 switches a limit off. */
struct config_output_limit {
    _Atomic uint64_t hard_bytes;
    _Atomic uint64_t soft_bytes;
    _Atomic int64_t soft_seconds;
};

#include "gen/config_values.h"

/* ---- Life ----------------------------------------------------------------------------------------- */

/* Every option has its default. */
struct config *config_new(void);
void config_free(struct config *config);

/* ---- At the start --------------------------------------------------------------------------------- */

/* Reads a command line: `[FILE | -] [--option value …]…`. The file comes first; what follows overrides it;
 * "-" is standard input. argv[0] is skipped. On error *ret_error says what, where (file and line) and, for an
 * unknown option, which one is closest; ST_IO when a file could not be read, else ST_INVALID. */
enum status config_load_arguments(struct config *config, int argc, char *const *argv, struct buf *ret_error);

/* Reads a file, with what it includes, and remembers it as the one that CONFIG REWRITE writes. */
enum status config_load_file(struct config *config, const char *path, struct buf *ret_error);

/* The same for text in memory; `name` stands in errors. Includes are taken relative to the working directory.
 */
enum status config_load_text(struct config *config, struct slice text, const char *name,
                             struct buf *ret_error);

/* What files and the command line have asked for in vain: a line for each reason, without a line end at the end; nothing when all is as
 * they say. */
void config_notices(const struct config *config, struct buf *ret_text);

/* The server runs: O3 holds from now on. Call after the handlers have been registered. */
void config_start(struct config *config);

/* Absolute path of the configuration file, "" when there is none. */
const char *config_file_path(const struct config *config);

/* ---- Change --------------------------------------------------------------------------------------- */

/* Called on the executor after the option has its new value. Returns false to refuse, with the reason in
 * *ret_error (a text without line ends); the old value is then put back. It is not called for values that are
 * read at the start: whoever registers looks at the value itself. When a later handler refuses, it is called
 * again with the old value in place and must accept that. */
typedef bool (*config_change_fn)(struct config *config, void *context, struct buf *ret_error);

/* At most one handler per option; a second registration replaces the first. */
void config_on_change(struct config *config, enum config_option option, config_change_fn change,
                      void *context);

/* Changes several options at once (O2). `pairs` are name, value, name, value, …; 2 * count slices. On failure
 * *ret_error is the text that CONFIG SET answers with, its error code included. `may_protected`: whoever asks may change
 * protected options too (enable-protected-configs). */
enum status config_set(struct config *config, const struct slice *pairs, uint32_t count, bool may_protected,
                       struct buf *ret_error);

/* Gives an option a value that no CONFIG SET gives it, as REPLICAOF does; no handler is called. ST_INVALID, ST_RANGE: *ret_error says why. */
enum status config_assign(struct config *config, enum config_option option, struct slice text,
                          struct buf *ret_error);

/* ---- Look ----------------------------------------------------------------------------------------- */

/* The option with this name or alias, without regard to case; CONFIG_OPTION_COUNT when there is none. */
enum config_option config_option_find(struct slice name);
const char *config_option_name(enum config_option option);

/* Appends an option's value as CONFIG GET answers. */
void config_value_text(const struct config *config, enum config_option option, struct buf *ret_text);

/* Calls `visit` for each option whose name or alias matches one of the glob patterns (case does not matter):
 * once per name, in the order of the declarations. Returns how many. */
uint32_t config_visit(const struct config *config, const struct slice *patterns, uint32_t count,
                      void (*visit)(void *context, const char *name, struct slice value), void *context);

/* ---- Users ---------------------------------------------------------------------------------------- */

/* The lines `user NAME RULE…` of files and the command line, in their order; config knows nothing of rules. `words` are the words
 * behind "user", at least one; valid as long as the configuration. `where`: file and line, for errors. False: there is no such line. */
bool config_user_line(const struct config *config, uint32_t index, const char *const **ret_words,
                      uint32_t *ret_count, const char **ret_where);

/* ---- CONFIG REWRITE ------------------------------------------------------------------------------- */

/* Writes the options that differ from their defaults into the configuration file, in three steps, because the
 * executor neither reads nor writes files: plan (executor), run (worker), result (executor). */
struct config_rewrite;

/* What has to be in the file now. NULL when the server runs without a configuration file. */
struct config_rewrite *config_rewrite_new(const struct config *config);

/* Has one more line `user …` written; with the first one, all such lines that the file has now are replaced by these. `words` as
 * above. */
void config_rewrite_add_user(struct config_rewrite *rewrite, const struct slice *words, uint32_t count);
/* Has the lines `user …` of the file replaced, if by none. */
void config_rewrite_replace_users(struct config_rewrite *rewrite);

/* Reads the file, keeps its comments and order, and replaces it in one step (temporary file, fsync, rename).
 * Any thread; touches nothing of the configuration. ST_IO: the old file is as it was, *ret_error says why. */
enum status config_rewrite_run(struct config_rewrite *rewrite, struct buf *ret_error);
void config_rewrite_free(struct config_rewrite *rewrite);

#endif
