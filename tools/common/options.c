/* Command-line options from tables of rows. Entry: options_parse, options_help. Threads: see options.h. */
#include "common/options.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#define LETTERLESS  256 /* getopt's values for rows without a letter begin here */
#define HELP_INDENT 2
#define HELP_COLUMN 28 /* where the sentences begin */

static const struct option_row *row_at(const struct option_set *sets, size_t set_count, size_t index,
                                       const struct option_set **ret_set)
{
    for (size_t i = 0; i < set_count; i++) {
        if (index < sets[i].count) {
            *ret_set = &sets[i];
            return &sets[i].rows[index];
        }
        index -= sets[i].count;
    }
    return NULL;
}

static void name_of(const struct option_row *row, char *name, size_t size)
{
    if (row->word != NULL)
        snprintf(name, size, "--%s", row->word);
    else
        snprintf(name, size, "-%c", row->letter);
}

static bool set_number(const struct option_row *row, char *field, const char *text, char *error)
{
    bool bounded = row->min != 0 || row->max != 0;
    bool whole = row->kind == OPTION_INTEGER;
    int64_t integer = 0;
    double number = 0;
    bool valid = whole ? num_parse_i64(slice_from_string(text), &integer)
                       : num_parse_double(slice_from_string(text), &number);
    if (whole)
        number = (double)integer;
    if (!valid || isnan(number) || (bounded && (number < row->min || number > row->max))) {
        int used = snprintf(error, OPTION_ERROR_MAX, "needs a %snumber", whole ? "whole " : "");
        if (bounded)
            snprintf(error + used, OPTION_ERROR_MAX - (size_t)used, " from %.15g to %.15g", row->min,
                     row->max);
        return false;
    }
    if (whole)
        memcpy(field, &integer, sizeof integer);
    else
        memcpy(field, &number, sizeof number);
    return true;
}

static bool set_field(const struct option_row *row, void *target, const char *text, char *error)
{
    char *field = (char *)target + row->offset;
    switch (row->kind) {
    case OPTION_FLAG: *(bool *)field = true; return true;
    case OPTION_TEXT: *(const char **)field = text; return true;
    case OPTION_INTEGER:
    case OPTION_NUMBER: return set_number(row, field, text, error);
    case OPTION_PARSE: return row->parse(target, text, error);
    }
    return false;
}

/* What getopt_long wants to know, made from the rows. */
struct getopt_tables {
    char *letters;
    struct option *words;
};

static void make_tables(struct getopt_tables *tables, const struct option_set *sets, size_t set_count)
{
    size_t total = 0;
    for (size_t i = 0; i < set_count; i++)
        total += sets[i].count;
    tables->letters = mem_alloc(2 * total + 3);
    tables->words = mem_calloc(total + 1, sizeof *tables->words);
    char *letter = tables->letters;
    *letter++ = '+'; /* stop at the first word that is no option */
    *letter++ = ':'; /* tell a missing argument from an unknown option, and print nothing */
    struct option *word = tables->words;
    for (size_t i = 0; i < total; i++) {
        const struct option_set *set;
        const struct option_row *row = row_at(sets, set_count, i, &set);
        if (row->letter != 0) {
            *letter++ = row->letter;
            if (row->argument != NULL)
                *letter++ = ':';
        }
        if (row->word != NULL)
            *word++ = (struct option){.name = row->word,
                                      .has_arg = row->argument != NULL ? required_argument : no_argument,
                                      .val = LETTERLESS + (int)i};
    }
    *letter = 0;
}

static const struct option_row *row_of_value(const struct option_set *sets, size_t set_count, int value,
                                             const struct option_set **ret_set)
{
    if (value >= LETTERLESS)
        return row_at(sets, set_count, (size_t)(value - LETTERLESS), ret_set);
    for (size_t i = 0;; i++) {
        const struct option_row *row = row_at(sets, set_count, i, ret_set);
        if (row == NULL || row->letter == value)
            return row;
    }
}

int options_parse(const struct option_set *sets, size_t set_count, int argc, char **argv, char *error)
{
    struct getopt_tables tables;
    make_tables(&tables, sets, set_count);
    optind = 0; /* GNU: begin anew, whatever was read before */
    int result = -1;
    for (;;) {
        int at = optind == 0 ? 1 : optind;
        int value = getopt_long(argc, argv, tables.letters, tables.words, NULL);
        if (value == -1) {
            result = optind;
            break;
        }
        if (value == '?' || value == ':') {
            snprintf(error, OPTION_ERROR_MAX, "Unrecognized option or bad number of args for: '%s'",
                     argv[at]);
            break;
        }
        const struct option_set *set;
        const struct option_row *row = row_of_value(sets, set_count, value, &set);
        char problem[OPTION_ERROR_MAX], name[64];
        if (!set_field(row, set->target, optarg, problem)) {
            name_of(row, name, sizeof name);
            snprintf(error, OPTION_ERROR_MAX, "%s: %.180s", name, problem);
            break;
        }
    }
    mem_free(tables.letters);
    mem_free(tables.words);
    return result;
}

/* The sentence in words, each line beginning at HELP_COLUMN; the cursor is at `column`. */
static void write_wrapped(const char *text, int column, int width, FILE *out)
{
    if (column + 1 >= HELP_COLUMN) {
        fputc('\n', out);
        column = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - column, "");
    column = HELP_COLUMN;
    while (*text != 0) {
        int length = (int)strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + length > width) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        if (column > HELP_COLUMN) {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, (size_t)length, out);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void options_help(const struct option_set *sets, size_t set_count, int width, FILE *out)
{
    const struct option_set *set;
    const struct option_row *row;
    for (size_t i = 0; (row = row_at(sets, set_count, i, &set)) != NULL; i++) {
        if (row->help == NULL)
            continue;
        if (row->section != NULL)
            fprintf(out, "%s%s\n", i == 0 ? "" : "\n", row->section);
        int column = fprintf(out, "%*s", HELP_INDENT, "");
        if (row->letter != 0)
            column += fprintf(out, "-%c%s", row->letter, row->word != NULL ? ", " : "");
        if (row->word != NULL)
            column += fprintf(out, "--%s", row->word);
        if (row->argument != NULL)
            column += fprintf(out, " %s", row->argument);
        write_wrapped(row->help, column, width, out);
    }
}
