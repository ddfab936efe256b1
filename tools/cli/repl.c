/* Commands one after the other. Entry, threads: see repl.h. */
#include "cli/repl.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "cli/editor.h"
#include "cli/input.h"
#include "cli/session.h"
#include "common/quote.h"

#define CLEAR_SCREEN "\033[H\033[2J"

/* Where lines come from. */
struct repl {
    struct cli *cli;
    struct editor *editor; /* NULL: standard input is read as it is */
    struct buf line;       /* the last one that was read so */
};

/* "127.0.0.1:6379[2](TX)> " */
static void append_prompt(struct buf *prompt, struct cli *cli)
{
    if (!session_alive(cli)) {
        buf_append_string(prompt, "not connected> ");
        return;
    }
    buf_append_string(prompt, cli->connect.socket != NULL ? "redis " : "");
    connect_address(&cli->connect, prompt);
    if (cli->db != 0)
        buf_printf(prompt, "[%lld]", (long long)cli->db);
    buf_append_string(prompt, cli->in_transaction ? "(TX)> " : "> ");
}

static bool read_plain(struct buf *line, struct slice *ret_line)
{
    int c;
    buf_clear(line);
    while ((c = getc(stdin)) != EOF && c != '\n' && line->size < INPUT_BYTES_MAX)
        buf_append_char(line, (char)c);
    if (line->size > 0 && line->data[line->size - 1] == '\r')
        line->size--;
    *ret_line = buf_slice(line);
    return c != EOF || line->size > 0;
}

/* The next line without its end, valid until the next call. False: there is none. */
static bool next_line(struct repl *repl, struct slice *ret_line)
{
    if (repl->editor != NULL) {
        struct buf prompt = {0};
        append_prompt(&prompt, repl->cli);
        bool read = editor_read(repl->editor, buf_string(&prompt), ret_line);
        buf_done(&prompt);
        return read;
    }
    return read_plain(&repl->line, ret_line);
}

static void connect_elsewhere(struct cli *cli, const struct slice *words)
{
    int64_t port;
    if (!num_parse_i64(words[2], &port) || port < 1 || port > 65535) {
        fputs("CONNECT: the port is a number from 1 to 65535\n", stderr);
        return;
    }
    mem_free(cli->connect.host);
    cli->connect.host = mem_strndup(words[1].data, words[1].size);
    cli->connect.port = port;
    mem_free(cli->connect.socket);
    cli->connect.socket = NULL;
    cli->connect.in_memory = false;
    cli->session->asked_docs = false;
    session_connect(cli);
}

static void change_setting(struct repl *repl, const struct quote_words *words)
{
    bool sets = words->count == 2 && slice_equal_nocase(words->items[0], ":set");
    bool hints = sets && slice_equal_nocase(words->items[1], "hints");
    bool no_hints = sets && slice_equal_nocase(words->items[1], "nohints");
    if (!hints && !no_hints)
        printf("unknown skua-cli internal command '%.*s'\n", (int)words->items[0].size, words->items[0].data);
    else if (repl->editor != NULL)
        editor_set_hints(repl->editor, hints);
}

/* "5 PING" */
static void run_words(struct cli *cli, const struct quote_words *words)
{
    int64_t times = 1;
    size_t first = words->count > 1 && num_parse_i64(words->items[0], &times) ? 1 : 0;
    if (first == 1 && times < 1) {
        puts("Invalid skua-cli repeat command option value.");
        return;
    }
    session_repeat(cli, words->items + first, words->count - first, first == 1 ? times : 1,
                   cli->options.interval_s);
}

/* Whether another line is wanted. */
static bool run_line(struct repl *repl, const struct quote_words *words)
{
    struct slice first = words->items[0];
    if (slice_equal_nocase(first, "quit") || slice_equal_nocase(first, "exit"))
        return false;
    if (first.size > 0 && first.data[0] == ':')
        change_setting(repl, words);
    else if (slice_equal_nocase(first, "clear") && words->count == 1)
        fputs(CLEAR_SCREEN, stdout);
    else if (slice_equal_nocase(first, "connect") && words->count == 3)
        connect_elsewhere(repl->cli, words->items);
    else
        run_words(repl->cli, words);
    fflush(stdout);
    return true;
}

static bool handle_line(struct repl *repl, struct slice line)
{
    struct quote_words words;
    bool goes_on = true;
    if (!quote_split(line, &words)) {
        if (repl->editor != NULL)
            editor_remember(repl->editor, line);
        puts("Invalid argument(s)");
    } else if (words.count > 0) {
        int64_t times;
        size_t first = words.count > 1 && num_parse_i64(words.items[0], &times) ? 1 : 0;
        if (repl->editor != NULL && !session_is_secret(words.items + first, words.count - first))
            editor_remember(repl->editor, line);
        goes_on = run_line(repl, &words);
    }
    quote_words_done(&words);
    return goes_on && !cli_terminated();
}

int repl_run(struct cli *cli)
{
    struct repl repl = {.cli = cli};
    struct slice line;
    if (cli->in_terminal && cli->out_terminal) {
        cli_catch_interrupts();
        repl.editor = editor_new(cli->session->catalogue, cli->colours);
    }
    if (session_connect(cli) && repl.editor != NULL)
        session_learn(cli);
    while (next_line(&repl, &line) && handle_line(&repl, line))
        ;
    editor_free(repl.editor);
    buf_done(&repl.line);
    return 0;
}
