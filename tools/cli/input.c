/* What a command is made of. Entry, threads: see input.h. */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/num.h"
#include "common/quote.h"

#define READ_BYTES 65536

/* Reads to the end. NULL, or why not. */
static const char *read_all(int descriptor, struct buf *text)
{
    for (;;) {
        buf_reserve(text, READ_BYTES);
        ssize_t size = read(descriptor, text->data + text->size, READ_BYTES);
        if (size == 0)
            return NULL;
        if (size < 0 && errno != EINTR)
            return strerror(errno);
        text->size += size > 0 ? (size_t)size : 0;
        if (text->size > INPUT_BYTES_MAX)
            return "more than 512 MB";
    }
}

static struct buf *new_text(struct input *input)
{
    input->texts = mem_realloc(input->texts, (input->text_count + 1) * sizeof(input->texts[0]));
    struct buf *text = &input->texts[input->text_count++];
    *text = (struct buf){0};
    return text;
}

static void add_word(struct input *input, struct slice word)
{
    input->words = mem_realloc(input->words, (input->count + 1) * sizeof(input->words[0]));
    input->words[input->count++] = word;
}

static bool add_argument(const struct cli *cli, struct input *input, const char *argument)
{
    if (!cli->options.quoted_input) {
        add_word(input, slice_from_string(argument));
        return true;
    }
    struct buf *text = new_text(input);
    if (!quote_unquote(slice_from_string(argument), text)) {
        puts("Invalid quoted string"); /* there, as redis-cli does */
        return false;
    }
    add_word(input, buf_slice(text));
    return true;
}

static bool read_standard_input(struct input *input, struct slice *ret_word)
{
    struct buf *text = new_text(input);
    const char *problem = read_all(STDIN_FILENO, text);
    if (problem != NULL) {
        fprintf(stderr, "Can't read standard input: %s\n", problem);
        return false;
    }
    *ret_word = buf_slice(text);
    return true;
}

static bool replace_tag(const struct cli *cli, struct input *input)
{
    for (size_t i = 0; i < input->count; i++)
        if (slice_equal(input->words[i], slice_from_string(cli->options.read_tag)))
            return read_standard_input(input, &input->words[i]);
    fputs("Using -X option but stdin tag not match.\n", stderr);
    return false;
}

/* EVAL script, the number of keys, keys, and what stands behind a lone comma. */
static bool add_script(const struct cli *cli, struct input *input)
{
    struct buf *script = new_text(input);
    int file = open(cli->options.eval_file, O_RDONLY | O_CLOEXEC);
    const char *problem = file < 0 ? strerror(errno) : read_all(file, script);
    if (file >= 0)
        close(file);
    if (problem != NULL) {
        fprintf(stderr, "Can't open file '%s': %s\n", cli->options.eval_file, problem);
        return false;
    }
    add_word(input, SLICE("EVAL"));
    add_word(input, buf_slice(script));
    size_t keys = 0;
    while (keys < cli->argument_count && strcmp(cli->arguments[keys], ",") != 0)
        keys++;
    struct buf *number = new_text(input);
    buf_printf(number, "%zu", keys);
    add_word(input, buf_slice(number));
    for (size_t i = 0; i < cli->argument_count; i++)
        if (i != keys && !add_argument(cli, input, cli->arguments[i]))
            return false;
    return true;
}

bool input_command(const struct cli *cli, struct input *ret_input)
{
    *ret_input = (struct input){0};
    if (cli->options.eval_file != NULL)
        return add_script(cli, ret_input);
    for (size_t i = 0; i < cli->argument_count; i++)
        if (!add_argument(cli, ret_input, cli->arguments[i]))
            return false;
    if (cli->options.read_tag != NULL)
        return replace_tag(cli, ret_input);
    struct slice last;
    if (!cli->options.read_last)
        return true;
    if (!read_standard_input(ret_input, &last))
        return false;
    add_word(ret_input, last);
    return true;
}

void input_done(struct input *input)
{
    for (size_t i = 0; i < input->text_count; i++)
        buf_done(&input->texts[i]);
    mem_free(input->texts);
    mem_free(input->words);
    *input = (struct input){0};
}
