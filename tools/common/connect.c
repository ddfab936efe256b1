/* The connection options that all tools share. Entry, threads, invariants: see connect.h. */
#include "common/connect.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/macros.h"
#include "base/num.h"

static void replace(char **field, const char *text)
{
    mem_free(*field);
    *field = text != NULL ? mem_strdup(text) : NULL;
}

static void replace_secret(char **field, const char *text)
{
    if (*field != NULL)
        explicit_bzero(*field, strlen(*field));
    replace(field, text);
}

/* `text` is a word of argv, which getopt does not move and which may be written to. */
static void blank_argument(const char *text, size_t size)
{
    memset((char *)text, '*', size);
}

/* ---- Options ------------------------------------------------------------------------------------------------ */

static bool parse_host(void *target, const char *text, char *error)
{
    struct connect_options *options = target;
    replace(&options->host, text);
    return true;
}

static bool parse_socket(void *target, const char *text, char *error)
{
    struct connect_options *options = target;
    replace(&options->socket, text);
    options->in_memory = false;
    return true;
}

static bool parse_user(void *target, const char *text, char *error)
{
    struct connect_options *options = target;
    replace(&options->user, text);
    return true;
}

static bool parse_password(void *target, const char *text, char *error)
{
    struct connect_options *options = target;
    replace_secret(&options->password, text);
    options->secret_on_command_line = true;
    options->secret_in_url = false;
    blank_argument(text, strlen(text));
    return true;
}

/* Blanks what stands between the user's colon and the last '@' before the path. */
static void blank_url_password(const char *url)
{
    const char *authority = strstr(url, "://");
    if (authority == NULL)
        return;
    authority += strlen("://");
    const char *at = memrchr(authority, '@', strcspn(authority, "/?"));
    const char *colon = at != NULL ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    if (colon != NULL)
        blank_argument(colon + 1, (size_t)(at - colon - 1));
}

static void take_url(struct connect_options *options, const struct skua_url *url)
{
    bool local = url->scheme != SKUA_SCHEME_TCP;
    replace(&options->socket, local ? url->path : NULL);
    if (!local) {
        replace(&options->host, url->host);
        options->port = url->port;
    }
    options->in_memory = url->scheme == SKUA_SCHEME_SHM;
    options->request_ring = url->request_ring;
    options->reply_ring = url->reply_ring;
    replace(&options->user, url->user);
    replace_secret(&options->password, url->password);
    options->secret_on_command_line = options->secret_in_url = url->password != NULL;
    if (url->db != 0)
        options->db = url->db;
    options->resp3 |= url->protocol == 3;
}

static bool parse_url(void *target, const char *text, char *error)
{
    struct connect_options *options = target;
    struct skua_url *url = mem_alloc(sizeof *url);
    const char *problem = NULL;
    bool valid = skua_url_parse(text, url, &problem, NULL) == SKUA_OK;
    if (valid && (url->scheme == SKUA_SCHEME_TLS || url->scheme == SKUA_SCHEME_RDMA)) {
        problem = "this version speaks TCP, Unix sockets and shared memory only";
        valid = false;
    }
    if (valid && options->url_count == CONNECT_URLS_MAX) {
        problem = "too many";
        valid = false;
    }
    if (valid) {
        take_url(options, url);
        options->urls[options->url_count++] = mem_strdup(text);
        blank_url_password(text);
    } else {
        snprintf(error, OPTION_ERROR_MAX, "Invalid URI: %s", problem);
    }
    explicit_bzero(url, sizeof *url);
    mem_free(url);
    return valid;
}

const struct option_row connect_rows[CONNECT_ROW_COUNT] = {
    {.section = "Connection:",
     .letter = 'h',
     .argument = "HOST",
     .help = "Where the server is: a name or an address (default: 127.0.0.1)",
     .kind = OPTION_PARSE,
     .parse = parse_host},
    {.letter = 'p',
     .argument = "PORT",
     .help = "Its port (default: 6379)",
     .kind = OPTION_INTEGER,
     .offset = offsetof(struct connect_options, port),
     .min = 1,
     .max = 65535},
    {.letter = 's',
     .argument = "PATH",
     .help = "Its Unix socket, instead of host and port",
     .kind = OPTION_PARSE,
     .parse = parse_socket},
    {.letter = 'u',
     .argument = "URL",
     .help =
         "All of it in one: redis://[[user]:password@]host[:port][/db], unix://[[user]:password@]/path, or "
         "shm:// with a path, for shared memory with the server behind that socket",
     .kind = OPTION_PARSE,
     .parse = parse_url},
    {.letter = 'a',
     .word = "pass",
     .argument = "PASSWORD",
     .help = "Password to log in with. In the environment variable SKUA_AUTH or REDISCLI_AUTH it is safer: "
             "nobody "
             "sees it there in the list of processes",
     .kind = OPTION_PARSE,
     .parse = parse_password},
    {.word = "user",
     .argument = "NAME",
     .help = "User to log in as; needs a password",
     .kind = OPTION_PARSE,
     .parse = parse_user},
    {.word = "askpass",
     .help = "Ask for the password, which is not shown while it is typed; the other ways of giving one are "
             "ignored",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct connect_options, ask_password)},
    {.word = "no-auth-warning",
     .help = "Do not warn about a password on the command line",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct connect_options, no_auth_warning)},
};

const struct option_row connect_session_rows[CONNECT_SESSION_ROW_COUNT] = {
    {.letter = 'n',
     .argument = "DB",
     .help = "Number of the database",
     .kind = OPTION_INTEGER,
     .offset = offsetof(struct connect_options, db),
     .max = INT32_MAX},
    {.letter = '2',
     .help = "Speak RESP2",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct connect_options, resp2)},
    {.letter = '3',
     .help = "Speak RESP3",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct connect_options, resp3)},
};

/* ---- Life ---------------------------------------------------------------------------------------------------- */

void connect_options_init(struct connect_options *options)
{
    *options = (struct connect_options){.host = mem_strdup("127.0.0.1"), .port = CONNECT_PORT};
}

void connect_options_done(struct connect_options *options)
{
    replace_secret(&options->password, NULL);
    replace(&options->host, NULL);
    replace(&options->socket, NULL);
    replace(&options->user, NULL);
    while (options->url_count > 0)
        replace_secret(&options->urls[--options->url_count], NULL);
}

void connect_options_of_url(const struct connect_options *all, unsigned index,
                            struct connect_options *ret_one)
{
    struct skua_url *url = mem_alloc(sizeof *url);
    connect_options_init(ret_one);
    ret_one->resp2 = all->resp2;
    ret_one->connect_timeout_ms = all->connect_timeout_ms;
    if (skua_url_parse(all->urls[index], url, NULL, NULL) == SKUA_OK) /* it was, when it was kept */
        take_url(ret_one, url);
    if (ret_one->password == NULL && !all->secret_in_url) {
        replace(&ret_one->user, all->user);
        replace_secret(&ret_one->password, all->password);
    }
    explicit_bzero(url, sizeof *url);
    mem_free(url);
}

/* Reads a line from the terminal without showing it: a star for each character, as people expect it. */
static bool read_secret(int terminal, char *secret, size_t size)
{
    static const char prompt[] = "Please input password: ";
    struct termios saved, silent;
    if (tcgetattr(terminal, &saved) != 0)
        return false;
    silent = saved;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    if (tcsetattr(terminal, TCSAFLUSH, &silent) != 0)
        return false;
    size_t used = 0;
    char c = 0;
    bool done = write(STDERR_FILENO, prompt, sizeof prompt - 1) < 0;
    while (!done && read(terminal, &c, 1) == 1 && c != '\n' && c != '\r' && c != 4) {
        const char *echo = "*";
        if (c != 0x7f && c != '\b' && used + 1 < size)
            secret[used++] = c;
        else if ((c == 0x7f || c == '\b') && used > 0)
            used--, echo = "\b \b";
        else
            echo = "";
        done = write(STDERR_FILENO, echo, strlen(echo)) < 0;
    }
    secret[used] = '\0';
    tcsetattr(terminal, TCSAFLUSH, &saved);
    return write(STDERR_FILENO, "\n", 1) == 1;
}

static bool ask_secret(struct connect_options *options, char *error)
{
    char *secret = mem_alloc(CONNECT_SECRET_MAX);
    bool asked = read_secret(STDIN_FILENO, secret, CONNECT_SECRET_MAX);
    if (asked)
        replace_secret(&options->password, secret);
    else
        snprintf(error, OPTION_ERROR_MAX, "--askpass: standard input is not a terminal");
    explicit_bzero(secret, CONNECT_SECRET_MAX);
    mem_free(secret);
    options->secret_on_command_line = false;
    return asked;
}

bool connect_options_finish(struct connect_options *options, char *error)
{
    static const char *const variables[] = CONNECT_SECRET_VARIABLES;
    for (size_t i = 0; i < ARRAY_COUNT(variables) && options->password == NULL; i++) {
        const char *value = getenv(variables[i]);
        if (value != NULL && *value != '\0')
            replace_secret(&options->password, value);
    }
    if (options->secret_on_command_line && !options->no_auth_warning)
        fputs("Warning: Using a password with '-a' or '-u' option on the command line interface may not be "
              "safe.\n",
              stderr);
    return !options->ask_password || ask_secret(options, error);
}

/* ---- For the library ----------------------------------------------------------------------------------------- */

/* What is not plain in a URL is written as %XX. */
static void append_escaped(struct buf *url, const char *text, const char *plain)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || strchr(plain, c) != NULL)
            buf_append_char(url, (char)c);
        else
            buf_printf(url, "%%%02X", c);
    }
}

/* "?request-ring=65536&reply-ring=65536", or a part of it */
static void append_rings(const struct connect_options *options, struct buf *url)
{
    const char *lead = "?";
    if (options->request_ring != 0) {
        buf_printf(url, "%srequest-ring=%u", lead, options->request_ring);
        lead = "&";
    }
    if (options->reply_ring != 0)
        buf_printf(url, "%sreply-ring=%u", lead, options->reply_ring);
}

void connect_url(const struct connect_options *options, struct buf *url)
{
    if (options->socket != NULL) {
        buf_append_string(url, options->in_memory ? "shm://" : "unix://");
        if (options->socket[0] != '/') { /* a URL has no relative paths */
            char folder[PATH_MAX];
            append_escaped(url, getcwd(folder, sizeof folder) != NULL ? folder : "", "-._~/");
            buf_append_char(url, '/');
        }
        append_escaped(url, options->socket, "-._~/");
        if (options->in_memory)
            append_rings(options, url);
        return;
    }
    bool bracketed = strchr(options->host, ':') != NULL;
    buf_append_string(url, bracketed ? "redis://[" : "redis://");
    append_escaped(url, options->host, bracketed ? "-._~:" : "-._~");
    buf_printf(url, "%s:%lld", bracketed ? "]" : "", (long long)options->port);
}

void connect_fill(const struct connect_options *options, struct skua_options *ret_options)
{
    skua_options_init(ret_options);
    ret_options->user = options->password != NULL ? options->user : NULL;
    ret_options->password = options->password;
    ret_options->db = (int)options->db;
    if (options->resp3 || options->resp2)
        ret_options->protocol = options->resp3 ? 3 : 2;
    if (options->connect_timeout_ms != 0)
        ret_options->connect_timeout_ms = options->connect_timeout_ms;
}

void connect_address(const struct connect_options *options, struct buf *text)
{
    if (options->socket != NULL)
        buf_append_string(text, options->socket);
    else if (strchr(options->host, ':') != NULL)
        buf_printf(text, "[%s]:%lld", options->host, (long long)options->port);
    else
        buf_printf(text, "%s:%lld", options->host, (long long)options->port);
}
