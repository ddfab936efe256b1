/* A program that does with libskua's public calls what its standard input tells it, a line at a time: tests/library
 * drives it against servers that behave, and against some that do not.
 *
 * Words of a line are separated by blanks; "…" holds blanks and \xHH. Each line is answered with any number of lines
 * and then a ".". At the end every byte and block that the library took must have been given back: otherwise it says
 * so and ends with status 3. `verbs` at the end of the file is the list of what it can do.
 * Threads: one; while a name is looked up, the library's. */
#include <ctype.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skua/skua.h>

#define WORDS_MAX           64
#define LINKS_OF_ONE_THREAD 3 /* of its folder of threads: itself, what it is in, and the one */
#define LINE_MAX            65536
#define SHOWN_MAX           200 /* longer strings are shown by their length */

/* ---- Memory that is counted, and refused when it is told to --------------------------------------------------- */

struct memory {
    long blocks;  /* not yet given back */
    long calls;   /* so far */
    long fail_at; /* the call that is refused, from 1; 0: none */
    bool fail_on; /* and all after it */
};

static bool refused(struct memory *memory)
{
    memory->calls++;
    return memory->fail_at > 0 &&
           (memory->calls == memory->fail_at || (memory->fail_on && memory->calls > memory->fail_at));
}

static void *allocate(void *context, size_t size)
{
    struct memory *memory = context;
    void *block = refused(memory) ? NULL : malloc(size);
    memory->blocks += block != NULL;
    return block;
}

static void *resize(void *context, void *block, size_t size)
{
    struct memory *memory = context;
    if (refused(memory))
        return NULL;
    memory->blocks += block == NULL;
    return realloc(block, size);
}

static void release(void *context, void *block)
{
    struct memory *memory = context;
    memory->blocks -= block != NULL;
    free(block);
}

/* ---- State ---------------------------------------------------------------------------------------------------- */

/* What to do inside a callback, once. */
enum { PLAN_MAX = 256 }; /* more than a test ever makes */

struct plan {
    char *tag;  /* of the reply callback, "push", "READY" and the like */
    char *line; /* to be executed */
};

struct driver {
    struct memory memory;
    struct skua_allocator allocator;
    struct skua_client *client;
    struct plan plans[PLAN_MAX];
    size_t plan_count;
    unsigned callbacks; /* called so far */
    unsigned losses;    /* not yet seen by `loop` */
    bool keep;          /* the next reply or push is kept, shown later and freed */
    struct skua_reply *kept;
    bool closed; /* the client was closed inside a callback: it may not be touched */
};

static void execute(struct driver *driver, char *line);

static const char *status_name(enum skua_status status)
{
    static const char *const names[] = {"OK",      "AGAIN",       "IO",    "CLOSED",  "TIMEOUT",
                                        "RESOLVE", "PROTOCOL",    "LIMIT", "REFUSED", "MEMORY",
                                        "URL",     "UNSUPPORTED", "USE",   "FULL"};
    return names[status];
}

static const char *state_name(enum skua_state state)
{
    static const char *const names[] = {"CONNECTING", "HANDSHAKE", "READY", "WAITING", "FAILED"};
    return names[state];
}

/* ---- Showing values --------------------------------------------------------------------------------------------- */

static void show_string(const char *prefix, const char *string, size_t length)
{
    printf("%s", prefix);
    if (length > SHOWN_MAX) {
        unsigned long sum = 0;
        for (size_t i = 0; i < length; i++)
            sum = (sum * 31 + (unsigned char)string[i]) & 0xffffffff;
        printf("<%zu bytes %lu>", length, sum);
        return;
    }
    putchar('"');
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)string[i];
        if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\')
            printf("\\x%02x", byte);
        else
            putchar(byte);
    }
    putchar('"');
}

static void show(const struct skua_reply *value);

static void show_elements(const char *open, const struct skua_reply *value)
{
    printf("%s", open);
    for (size_t i = 0; i < value->element_count; i++) {
        printf("%s", i > 0 ? " " : "");
        show(&value->elements[i]);
    }
    printf("]");
}

static void show(const struct skua_reply *value)
{
    if (value->attributes != NULL) {
        show(value->attributes);
        putchar(' ');
    }
    switch (value->type) {
    case SKUA_STRING: show_string("", value->string, value->length); break;
    case SKUA_STATUS: show_string("+", value->string, value->length); break;
    case SKUA_ERROR: show_string("-", value->string, value->length); break;
    case SKUA_INTEGER: printf(":%lld", (long long)value->integer); break;
    case SKUA_NULL: printf("nil"); break;
    case SKUA_DOUBLE: printf(",%.17g", value->number); break;
    case SKUA_BOOL: printf("#%c", value->integer ? 't' : 'f'); break;
    case SKUA_BIG_NUMBER: show_string("(", value->string, value->length); break;
    case SKUA_VERBATIM:
        printf("=%s:", value->format);
        show_string("", value->string, value->length);
        break;
    case SKUA_ARRAY: show_elements("[", value); break;
    case SKUA_MAP: show_elements("%[", value); break;
    case SKUA_SET: show_elements("~[", value); break;
    case SKUA_PUSH: show_elements(">[", value); break;
    case SKUA_ATTRIBUTE: show_elements("|[", value); break;
    }
}

static void show_item(const struct skua_item *item)
{
    printf("item %u %d ", item->depth, item->last);
    struct skua_reply value = {.type = item->type, .integer = item->integer, .number = item->number};
    if (item->string != NULL && item->type != SKUA_DOUBLE) {
        show_string("", item->string, item->length);
        putchar('\n');
        return;
    }
    if (item->type >= SKUA_MAP || item->type == SKUA_ARRAY)
        printf("%d[%zu]", item->type, item->element_count);
    else
        show(&value);
    putchar('\n');
}

/* ---- Callbacks -------------------------------------------------------------------------------------------------- */

/* Executes what was planned for `tag`, if anything. */
static void follow_plan(struct driver *driver, const char *tag)
{
    for (size_t i = 0; i < driver->plan_count; i++) {
        struct plan plan = driver->plans[i];
        if (strcmp(plan.tag, tag) != 0)
            continue;
        driver->plans[i] = driver->plans[--driver->plan_count];
        execute(driver, plan.line);
        free(plan.tag);
        free(plan.line);
        return;
    }
}

static void keep(struct driver *driver)
{
    if (!driver->keep)
        return;
    driver->keep = false;
    driver->kept = skua_keep(driver->client);
}

static void on_reply(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                     void *user)
{
    char *tag = user;
    struct driver *driver = skua_user(client);
    driver->callbacks++;
    printf("callback %s %s ", tag, status_name(status));
    if (reply != NULL)
        show(reply);
    putchar('\n');
    keep(driver);
    follow_plan(driver, tag);
    free(tag);
}

static void on_push(struct skua_client *client, const struct skua_reply *push, void *user)
{
    struct driver *driver = user;
    driver->callbacks++;
    printf("push ");
    show(push);
    putchar('\n');
    keep(driver);
    follow_plan(driver, "push");
}

static void on_state(struct skua_client *client, enum skua_state state, void *user)
{
    struct driver *driver = user;
    printf("state %s\n", state_name(state));
    driver->losses += state == SKUA_WAITING || state == SKUA_FAILED;
    follow_plan(driver, state_name(state));
}

static void show_watch(struct skua_client *client, int descriptor, unsigned want)
{
    int64_t deadline_ms = skua_deadline_ms(client);
    printf("%s%s%s %s\n", descriptor < 0 ? "none" : "some", want & SKUA_READ ? " read" : "",
           want & SKUA_WRITE ? " write" : "",
           deadline_ms < 0    ? "never"
           : deadline_ms == 0 ? "now"
                              : "later");
}

static void on_watch(struct skua_client *client, int descriptor, unsigned want, void *user)
{
    printf("watch ");
    show_watch(client, descriptor, want);
    follow_plan(user, "watch");
}

/* ---- Verbs: what a line can say ----------------------------------------------------------------------------------- */

struct words {
    size_t count;
    char *at[WORDS_MAX];
    size_t lengths[WORDS_MAX];
};

#define REST(words) (words)->count - 1, (const char *const *)(words)->at + 1, (words)->lengths + 1

static long long number(const char *text)
{
    return strtoll(text, NULL, 10);
}

/* NAME=VALUE for the fields of struct skua_options. */
static void read_option(struct skua_options *options, char *word)
{
    char *value = strchr(word, '=');
    if (value == NULL)
        return;
    *value++ = '\0';
    const struct {
        const char *name;
        int64_t *field;
    } times[] = {{"connect_timeout_ms", &options->connect_timeout_ms},
                 {"command_timeout_ms", &options->command_timeout_ms},
                 {"reconnect_delay_ms", &options->reconnect_delay_ms},
                 {"reconnect_delay_max_ms", &options->reconnect_delay_max_ms}};
    const struct {
        const char *name;
        int *field;
    } numbers[] = {{"db", &options->db},
                   {"protocol", &options->protocol},
                   {"reconnect_max", &options->reconnect_max},
                   {"keepalive_s", &options->keepalive_s}};
    const struct {
        const char *name;
        size_t *field;
    } sizes[] = {{"pending_max", &options->pending_max},
                 {"output_max", &options->output_max},
                 {"string_max", &options->limits.string_max},
                 {"element_max", &options->limits.element_max},
                 {"reply_max", &options->limits.reply_max}};
    const struct {
        const char *name;
        const char **field;
    } strings[] = {{"user", &options->user},
                   {"password", &options->password},
                   {"name", &options->name},
                   {"source_address", &options->source_address}};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (strcmp(word, times[i].name) == 0)
            *times[i].field = number(value);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strcmp(word, numbers[i].name) == 0)
            *numbers[i].field = (int)number(value);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (strcmp(word, sizes[i].name) == 0)
            *sizes[i].field = (size_t)number(value);
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
        if (strcmp(word, strings[i].name) == 0)
            *strings[i].field = value;
}

static void attach(struct driver *driver)
{
    driver->closed = false;
    skua_set_user(driver->client, driver);
    skua_on_push(driver->client, on_push, driver);
    skua_on_state(driver->client, on_state, driver);
}

static struct skua_options read_options(struct driver *driver, struct words *words)
{
    struct skua_options options;
    skua_options_init(&options);
    options.allocator = &driver->allocator;
    for (size_t i = 2; i < words->count; i++)
        read_option(&options, words->at[i]);
    return options;
}

static void verb_connect(struct driver *driver, struct words *words)
{
    skua_close(driver->client);
    driver->client = NULL;
    struct skua_options options = read_options(driver, words);
    driver->client = skua_connect(words->at[1], &options);
    if (driver->client == NULL) {
        printf("NULL\n");
        return;
    }
    attach(driver);
    printf("%s %s %s\n", status_name(skua_status_of(driver->client)),
           state_name(skua_state_of(driver->client)), skua_error(driver->client));
}

static void verb_open(struct driver *driver, struct words *words)
{
    skua_close(driver->client);
    driver->client = NULL;
    struct skua_options options = read_options(driver, words);
    enum skua_status status = skua_open(words->at[1], &options, &driver->client);
    printf("%s\n", status_name(status));
    if (status == SKUA_OK)
        attach(driver);
}

static void verb_close(struct driver *driver, struct words *words)
{
    skua_close(driver->client);
    driver->client = NULL;
    driver->closed = true;
}

static void verb_state(struct driver *driver, struct words *words)
{
    printf("%s %s %s\n", status_name(skua_status_of(driver->client)),
           state_name(skua_state_of(driver->client)), skua_error(driver->client));
}

static void verb_about(struct driver *driver, struct words *words)
{
    printf("protocol %d pending %zu address %s\n", skua_protocol(driver->client),
           skua_pending(driver->client), skua_address(driver->client));
}

static void show_and_free(struct skua_reply *reply)
{
    show(reply);
    putchar('\n');
    skua_reply_free(reply);
}

static void verb_command(struct driver *driver, struct words *words)
{
    struct skua_reply *reply = skua_command_argv(driver->client, REST(words));
    if (reply != NULL)
        show_and_free(reply);
    else
        printf("%s\n", driver->closed ? "closed" : status_name(skua_call_status(driver->client)));
}

/* set KEY SIZE: a value of so many bytes, through the format. */
static void verb_set(struct driver *driver, struct words *words)
{
    size_t size = (size_t)number(words->at[2]);
    char *value = malloc(size);
    for (size_t i = 0; i < size; i++)
        value[i] = (char)('a' + i % 23);
    struct skua_reply *reply = skua_command(driver->client, "SET %s %b", words->at[1], value, size);
    free(value);
    if (reply != NULL)
        show_and_free(reply);
    else
        printf("%s\n", status_name(skua_call_status(driver->client)));
}

static void verb_append(struct driver *driver, struct words *words)
{
    printf("%s\n", status_name(skua_append_argv(driver->client, REST(words))));
}

/* raw REPLIES BYTES [TIMES] */
static void verb_raw(struct driver *driver, struct words *words)
{
    long times = words->count > 3 ? (long)number(words->at[3]) : 1;
    enum skua_status status = SKUA_OK;
    for (long i = 0; i < times && status == SKUA_OK; i++)
        status =
            skua_append_raw(driver->client, words->at[2], words->lengths[2], (size_t)number(words->at[1]));
    printf("%s\n", status_name(status));
}

static void verb_get(struct driver *driver, struct words *words)
{
    struct skua_reply *reply;
    enum skua_status status = skua_get_reply(driver->client, &reply);
    if (status == SKUA_OK)
        show_and_free(reply);
    else
        printf("%s\n", status_name(status));
}

/* getall: takes replies until one is not OK, and says how many were the same as the first. */
static void verb_getall(struct driver *driver, struct words *words)
{
    struct skua_reply *reply;
    long count = 0;
    enum skua_status status;
    while ((status = skua_get_reply(driver->client, &reply)) == SKUA_OK) {
        count++;
        skua_reply_free(reply);
    }
    printf("%ld %s\n", count, status_name(status));
}

/* item [COUNT]: items, until there is none or COUNT of them. */
static void verb_item(struct driver *driver, struct words *words)
{
    struct skua_item item;
    enum skua_status status = SKUA_OK;
    long limit = words->count > 1 ? (long)number(words->at[1]) : -1;
    while (limit-- != 0 && (status = skua_next_item(driver->client, &item)) == SKUA_OK)
        show_item(&item);
    printf("%s\n", status_name(status));
}

/* items REPLIES: runs and counts items until so many replies are complete. */
static void verb_items(struct driver *driver, struct words *words)
{
    long replies = (long)number(words->at[1]), items = 0;
    enum skua_status status = SKUA_OK;
    while (replies > 0 && (status == SKUA_OK || status == SKUA_AGAIN)) {
        struct skua_item item;
        status = skua_next_item(driver->client, &item);
        if (status == SKUA_OK) {
            items++;
            replies -= item.last;
        } else if (status == SKUA_AGAIN) {
            skua_wait(driver->client, 1000);
        }
    }
    printf("%ld %s\n", items, status_name(status));
}

static void verb_flush(struct driver *driver, struct words *words)
{
    printf("%s\n", status_name(skua_flush(driver->client)));
}

static void verb_wait(struct driver *driver, struct words *words)
{
    printf("%s\n", status_name(skua_wait(driver->client, number(words->at[1]))));
}

static void verb_take(struct driver *driver, struct words *words)
{
    char bytes[256];
    size_t size = (size_t)number(words->at[1]);
    enum skua_status status = skua_take_bytes(driver->client, bytes, size < 256 ? size : 256, &size);
    if (status == SKUA_OK)
        show_string("", bytes, size);
    printf("%s\n", status == SKUA_OK ? "" : status_name(status));
}

static char *copy(const char *text)
{
    return strdup(text);
}

/* submit TAG WORDS */
static void verb_submit(struct driver *driver, struct words *words)
{
    char *tag = copy(words->at[1]);
    enum skua_status status =
        skua_submit(driver->client, words->count - 2, (const char *const *)words->at + 2, words->lengths + 2,
                    on_reply, tag);
    if (status != SKUA_OK)
        free(tag);
    printf("submit %s\n", status_name(status));
}

/* plan TAG LINE: executes the line inside the next callback with that tag. */
static void verb_plan(struct driver *driver, struct words *words)
{
    if (driver->plan_count == PLAN_MAX)
        abort();
    driver->plans[driver->plan_count++] = (struct plan){copy(words->at[1]), copy(words->at[2])};
}

static void verb_keep(struct driver *driver, struct words *words)
{
    driver->keep = true;
}

static void verb_kept(struct driver *driver, struct words *words)
{
    show_and_free(driver->kept);
    driver->kept = NULL;
}

static void verb_watch(struct driver *driver, struct words *words)
{
    skua_on_watch(driver->client, on_watch, driver);
}

/* watching: what a loop has to watch. */
static void verb_watching(struct driver *driver, struct words *words)
{
    show_watch(driver->client, skua_descriptor(driver->client), skua_want(driver->client));
}

static void verb_run(struct driver *driver, struct words *words)
{
    printf("run %s\n", status_name(skua_run(driver->client, SKUA_READ | SKUA_WRITE)));
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether the client is in the state of that name; "-": any; "lost": it was lost since this was asked last. */
static bool is_in_state(struct driver *driver, const char *name)
{
    if (strcmp(name, "lost") != 0)
        return strcmp(name, "-") == 0 || strcmp(name, state_name(skua_state_of(driver->client))) == 0;
    bool lost = driver->losses > 0;
    driver->losses = 0;
    return lost;
}

/* loop CALLBACKS STATE: an event loop, until so many more callbacks were called (0: any number) and the client is in
 * that state; 20 seconds at most. */
static void verb_loop(struct driver *driver, struct words *words)
{
    unsigned until = driver->callbacks + (unsigned)number(words->at[1]);
    int64_t limit_ms = now_ms() + 20000;
    while (!driver->closed) {
        if (driver->callbacks >= until && is_in_state(driver, words->at[2]))
            return;
        if (now_ms() > limit_ms) {
            printf("loop: too long\n");
            return;
        }
        unsigned want = skua_want(driver->client);
        struct pollfd watched = {.fd = skua_descriptor(driver->client)};
        watched.events = (short)((want & SKUA_READ ? POLLIN : 0) | (want & SKUA_WRITE ? POLLOUT : 0));
        int64_t deadline_ms = skua_deadline_ms(driver->client);
        int64_t left_ms = limit_ms - now_ms() + 1;
        poll(&watched, 1, (int)(deadline_ms < 0 || deadline_ms > left_ms ? left_ms : deadline_ms));
        skua_run(driver->client, (watched.revents & ~POLLOUT ? SKUA_READ : 0u) |
                                     (watched.revents & ~POLLIN ? SKUA_WRITE : 0u));
    }
}

static void verb_reconnect(struct driver *driver, struct words *words)
{
    printf("reconnect %s\n", status_name(skua_reconnect(driver->client)));
}

static void verb_timeout(struct driver *driver, struct words *words)
{
    skua_set_command_timeout(driver->client, number(words->at[1]));
}

/* memory AT [on]: the AT-th allocation from now on is refused, or all from it on; 0: none. */
static void verb_memory(struct driver *driver, struct words *words)
{
    driver->memory.calls = 0;
    driver->memory.fail_at = (long)number(words->at[1]);
    driver->memory.fail_on = words->count > 2;
}

/* Says how many allocations there were since `memory`, and how many blocks are held. */
static void verb_blocks(struct driver *driver, struct words *words)
{
    printf("calls %ld blocks %ld\n", driver->memory.calls, driver->memory.blocks);
}

static const struct verb {
    const char *name;
    size_t words_min;
    bool needs_client;
    void (*function)(struct driver *driver, struct words *words);
} verbs[] = {
    {"connect", 2, false, verb_connect}, {"open", 2, false, verb_open},
    {"close", 1, true, verb_close},      {"state", 1, true, verb_state},
    {"about", 1, true, verb_about},      {"command", 2, true, verb_command},
    {"set", 3, true, verb_set},          {"append", 2, true, verb_append},
    {"raw", 3, true, verb_raw},          {"get", 1, true, verb_get},
    {"getall", 1, true, verb_getall},    {"item", 1, true, verb_item},
    {"items", 2, true, verb_items},      {"flush", 1, true, verb_flush},
    {"wait", 2, true, verb_wait},        {"take", 2, true, verb_take},
    {"submit", 3, true, verb_submit},    {"plan", 3, true, verb_plan},
    {"keep", 1, true, verb_keep},        {"kept", 1, false, verb_kept},
    {"watch", 1, true, verb_watch},      {"run", 1, true, verb_run},
    {"loop", 3, true, verb_loop},        {"reconnect", 1, true, verb_reconnect},
    {"timeout", 2, true, verb_timeout},  {"memory", 2, false, verb_memory},
    {"blocks", 1, false, verb_blocks},   {"watching", 1, true, verb_watching},
};

/* ---- Lines ------------------------------------------------------------------------------------------------------ */

/* Takes one word out of *at, in place. */
static char *take_word(char **at, size_t *ret_length)
{
    char *in = *at, *out = *at, *word = *at;
    bool quoted = *in == '"';
    if (quoted)
        in++;
    while (*in != '\0' && *in != (quoted ? '"' : ' ')) {
        if (quoted && in[0] == '\\' && in[1] == 'x' && isxdigit((unsigned char)in[2])) {
            char digits[3] = {in[2], in[3], '\0'};
            *out++ = (char)strtol(digits, NULL, 16);
            in += 4;
        } else {
            *out++ = *in++;
        }
    }
    in += *in != '\0';
    if (quoted && *in == ' ')
        in++;
    *out = '\0';
    *ret_length = (size_t)(out - word);
    *at = in;
    return word;
}

static void execute(struct driver *driver, char *line)
{
    struct words words = {0};
    while (*line != '\0' && words.count < WORDS_MAX) {
        words.at[words.count] = take_word(&line, &words.lengths[words.count]);
        words.count++;
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (words.count >= verbs[i].words_min && strcmp(words.at[0], verbs[i].name) == 0) {
            if (verbs[i].needs_client && driver->client == NULL)
                printf("no client\n");
            else
                verbs[i].function(driver, &words);
            return;
        }
    printf("what is %s?\n", words.count > 0 ? words.at[0] : "nothing");
}

/* Lookups of clients that were closed meanwhile have threads of their own, which must come to their end. A report of
 * leaks while one of them ends would take what the C library is about to free for lost. */
static void wait_for_lookups(void)
{
    struct stat threads;
    while (stat("/proc/self/task", &threads) == 0 && threads.st_nlink > LINKS_OF_ONE_THREAD)
        usleep(1000);
}

int main(void)
{
    static struct driver driver;
    static char line[LINE_MAX];
    setlocale(LC_CTYPE, "");
    driver.allocator = (struct skua_allocator){allocate, resize, release, &driver.memory};
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        execute(&driver, line);
        printf(".\n");
        fflush(stdout);
    }
    skua_close(driver.client);
    wait_for_lookups();
    if (driver.memory.blocks == 0)
        return 0;
    printf("%ld blocks were not given back\n", driver.memory.blocks);
    return 3;
}
