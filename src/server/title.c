/* The title of the process as ps(1) shows it: see process.h.
 *
 * Linux shows the memory in which it has put the arguments, and the environment behind them if the title reaches so far. So the
 * environment moves to memory of its own, and then all of that is the title's.
 * Threads: the executor's. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/slice.h"
#include "server/process.h"

extern char **environ;

static void move_environment(char **end)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **copy = mem_calloc(count + 1, sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        if (environ[i] == *end)
            *end = environ[i] + strlen(environ[i]) + 1;
        copy[i] = mem_strdup(environ[i]);
    }
    environ = copy;
}

void title_take(struct title *title, int argc, char **argv)
{
    if (argc < 1)
        return;
    char *end = argv[0];
    for (int i = 0; i < argc && argv[i] == end; i++)
        end = argv[i] + strlen(argv[i]) + 1;
    const char *slash = strrchr(argv[0], '/');
    snprintf(title->program, sizeof title->program, "%s", slash != NULL ? slash + 1 : argv[0]);
    title->start = argv[0];
    move_environment(&end);
    title->size = (size_t)(end - title->start);
}

/* ---- What it says --------------------------------------------------------------------------------- */

static void append_address(const struct config *config, struct buf *title)
{
    if (config->port > 0)
        buf_printf(title, "%s:%" PRId64, config->bind.count > 0 ? config->bind.items[0] : "*", config->port);
    else
        buf_append_string(title, config->unixsocket);
}

static bool append_variable(const struct config *config, const char *program, struct slice name,
                            struct buf *title)
{
    if (slice_equal(name, SLICE("title")))
        buf_append_string(title, program);
    else if (slice_equal(name, SLICE("listen-addr")))
        append_address(config, title);
    else if (slice_equal(name, SLICE("port")))
        buf_printf(title, "%" PRId64, config->port);
    else if (slice_equal(name, SLICE("tls-port")))
        buf_append_char(title, '0');
    else if (slice_equal(name, SLICE("unixsocket")))
        buf_append_string(title, config->unixsocket);
    else if (slice_equal(name, SLICE("config-file")))
        buf_append_string(title, config_file_path(config));
    else
        return slice_equal(
            name, SLICE("server-mode")); /* nothing, where there is neither a cluster nor a sentinel */
    return true;
}

enum status title_expand(const struct config *config, const char *program, struct buf *ret_title)
{
    const char *at = config->proc_title_template;
    while (*at != '\0') {
        size_t plain = strcspn(at, "{}");
        buf_append(ret_title, at, plain);
        at += plain;
        if (*at == '\0')
            break;
        const char *end = *at == '{' ? strchr(at, '}') : NULL;
        if (end == NULL ||
            !append_variable(config, program, (struct slice){at + 1, (size_t)(end - at - 1)}, ret_title))
            return ST_INVALID;
        at = end + 1;
    }
    while (ret_title->size > 0 && ret_title->data[ret_title->size - 1] == ' ')
        ret_title->size--;
    return ST_OK;
}

void title_apply(const struct title *title, const struct config *config)
{
    struct buf text = {0};
    if (title != NULL && title->start != NULL && config->set_proc_title &&
        title_expand(config, title->program, &text) == ST_OK) {
        size_t size = text.size < title->size - 1 ? text.size : title->size - 1;
        memset(title->start, 0, title->size);
        if (size > 0)
            memcpy(title->start, text.data, size);
    }
    buf_done(&text);
}
