/* What a descriptor lets a program do. Entry, threads: see terminal.h. */
#include "common/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/num.h"

#define SIZE_LIMIT 10000 /* a larger answer is no window */

bool terminal_is(int descriptor)
{
    return isatty(descriptor) == 1;
}

static int size_from(int told, const char *variable, int otherwise)
{
    if (told > 0 && told <= SIZE_LIMIT)
        return told;
    const char *text = getenv(variable);
    int64_t value;
    if (text != NULL && num_parse_i64(slice_from_string(text), &value) && value > 0 && value <= SIZE_LIMIT)
        return (int)value;
    return otherwise;
}

void terminal_size(int descriptor, int *ret_columns, int *ret_rows)
{
    struct winsize size = {0};
    if (ioctl(descriptor, TIOCGWINSZ, &size) != 0)
        size = (struct winsize){0};
    if (ret_columns != NULL)
        *ret_columns = size_from(size.ws_col, "COLUMNS", TERMINAL_COLUMNS);
    if (ret_rows != NULL)
        *ret_rows = size_from(size.ws_row, "LINES", TERMINAL_ROWS);
}

bool terminal_redraws(int descriptor)
{
    const char *kind = getenv("TERM");
    return terminal_is(descriptor) && kind != NULL && *kind != '\0' && strcmp(kind, "dumb") != 0;
}

bool terminal_colours(int descriptor)
{
    const char *none = getenv("NO_COLOR");
    return terminal_redraws(descriptor) && (none == NULL || *none == '\0');
}
