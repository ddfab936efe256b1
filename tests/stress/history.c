/* The store of a history and its text form. See history.h. */
#include "history.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 65536
#define CONNS_MAX      65536

void *take_more(void *block, size_t size)
{
    void *bigger = realloc(block, size ? size : 1);
    if (!bigger) {
        fprintf(stderr, "no memory\n");
        exit(2);
    }
    return bigger;
}

void *take(size_t size)
{
    void *block = take_more(NULL, size);
    memset(block, 0, size);
    return block;
}

void history_init(struct history *history)
{
    memset(history, 0, sizeof *history);
}

void history_done(struct history *history)
{
    free(history->ops);
    free(history->facts);
    free(history->steps);
}

static uint32_t next_step(struct history *history, uint32_t conn)
{
    if (conn >= history->conn_count) {
        size_t count = conn + 16;
        history->steps = take_more(history->steps, count * sizeof *history->steps);
        memset(history->steps + history->conn_count, 0,
               (count - history->conn_count) * sizeof *history->steps);
        history->conn_count = count;
    }
    return history->steps[conn]++;
}

void history_add(struct history *history, uint32_t conn, uint64_t call, uint64_t back, uint32_t world)
{
    if (history->op_count == history->op_capacity) {
        history->op_capacity = history->op_capacity ? 2 * history->op_capacity : 1024;
        history->ops = take_more(history->ops, history->op_capacity * sizeof *history->ops);
    }
    history->ops[history->op_count++] = (struct op){.call = call,
                                                    .back = back,
                                                    .conn = conn,
                                                    .step = next_step(history, conn),
                                                    .first_fact = (uint32_t)history->fact_count,
                                                    .world = (uint16_t)world};
}

void history_fact(struct history *history, enum fact_kind kind, uint32_t cell, uint32_t span, uint64_t value)
{
    if (history->fact_count == history->fact_capacity) {
        history->fact_capacity = history->fact_capacity ? 2 * history->fact_capacity : 1024;
        history->facts = take_more(history->facts, history->fact_capacity * sizeof *history->facts);
    }
    history->facts[history->fact_count++] =
        (struct fact){.kind = (uint8_t)kind, .cell = (uint8_t)cell, .span = (uint8_t)span, .value = value};
    history->ops[history->op_count - 1].fact_count++;
}

bool history_changes(const struct history *history, const struct op *op)
{
    for (unsigned i = 0; i < op->fact_count; i++)
        if (history_facts(history, op)[i].kind == FACT_BECOMES)
            return true;
    return false;
}

/* ---- Text ------------------------------------------------------------------------------------------- */

static const struct form {
    char place;
    const char *sign;
    bool has_span;
} forms[] = {
    [FACT_BECOMES] = {'w', ":=", false},
    [FACT_IS] = {'w', "==", false},
    [FACT_COUNT] = {'w', "#", true},
    [FACT_ANY] = {'w', "?", true},
    [FACT_COUNTER_BECOMES] = {'c', ":=", false},
    [FACT_COUNTER_IS] = {'c', "==", false},
    [FACT_REGISTER_BECOMES] = {'r', ":=", false},
    [FACT_REGISTER_IS] = {'r', "==", false},
    [FACT_REGISTER_WAS] = {'r', "<-", false},
};
#define FORM_COUNT (sizeof forms / sizeof forms[0])

void history_write_op(const struct history *history, const struct op *op, FILE *out)
{
    fprintf(out, "%u %llu %llu %u", op->conn, (unsigned long long)op->call, (unsigned long long)op->back,
            op->world);
    for (unsigned i = 0; i < op->fact_count; i++) {
        const struct fact *fact = &history_facts(history, op)[i];
        const struct form *form = &forms[fact->kind];
        fprintf(out, " %c%u", form->place, fact->cell);
        if (form->has_span)
            fprintf(out, "+%u", fact->span);
        fprintf(out, "%s%llu", form->sign, (unsigned long long)fact->value);
    }
    fputc('\n', out);
}

static bool read_number(const char **text, uint64_t max, uint64_t *ret_number)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    *ret_number = strtoull(*text, &end, 10);
    *text = end;
    return *ret_number <= max;
}

static bool read_fact(struct history *history, const char **text)
{
    char place = *(*text)++;
    uint64_t cell, span = 1, value,
                   cells = place == 'w'   ? CELLS_MAX
                           : place == 'c' ? COUNTERS_MAX
                                          : REGISTERS_MAX;
    if (!read_number(text, cells - 1, &cell))
        return false;
    bool has_span = **text == '+';
    if (has_span && (++*text, !read_number(text, cells - cell, &span)))
        return false;
    for (size_t kind = 0; kind < FORM_COUNT; kind++) {
        size_t length = strlen(forms[kind].sign);
        if (forms[kind].place != place || forms[kind].has_span != has_span ||
            strncmp(*text, forms[kind].sign, length) != 0)
            continue;
        *text += length;
        if (!read_number(text, UINT64_MAX, &value))
            return false;
        history_fact(history, (enum fact_kind)kind, (uint32_t)cell, (uint32_t)span, value);
        return true;
    }
    return false;
}

static void skip_blanks(const char **text)
{
    while (**text == ' ' || **text == '\n')
        ++*text;
}

static bool read_line(struct history *history, const char *text)
{
    uint64_t heads[4];
    static const uint64_t limits[4] = {CONNS_MAX, UINT64_MAX, UINT64_MAX, WORLDS_MAX - 1};
    for (unsigned i = 0; i < 4; i++) {
        if (!read_number(&text, limits[i], &heads[i]))
            return false;
        skip_blanks(&text);
    }
    if (heads[1] > heads[2])
        return false;
    history_add(history, (uint32_t)heads[0], heads[1], heads[2], (uint32_t)heads[3]);
    while (*text) {
        if (!read_fact(history, &text))
            return false;
        skip_blanks(&text);
    }
    return true;
}

enum history_read history_read_text(struct history *history, FILE *in, unsigned *line)
{
    char *bytes = take(LINE_MAX_BYTES);
    enum history_read result = HISTORY_READ_END;
    while (result == HISTORY_READ_END && fgets(bytes, LINE_MAX_BYTES, in)) {
        const char *text = bytes;
        ++*line;
        skip_blanks(&text);
        if (*text == '=')
            result = HISTORY_READ_MARK;
        else if (*text && *text != '#' && !read_line(history, text))
            result = HISTORY_READ_WRONG;
    }
    free(bytes);
    return result;
}
