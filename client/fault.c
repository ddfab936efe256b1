/* Why something failed. See fault.h. Threads: as the owner's of the fault. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/fault.h"

static void make_one_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

enum skua_status fault_set(struct fault *fault, enum skua_status status, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(fault->text, sizeof(fault->text), format, values);
    va_end(values);
    make_one_line(fault->text);
    fault->status = status;
    return status;
}

enum skua_status fault_set_errno(struct fault *fault, int error, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = vsnprintf(fault->text, sizeof(fault->text), format, values);
    va_end(values);
    char words[96];
    const char *reason = strerror_r(error, words, sizeof(words));
    if (length >= 0 && (size_t)length < sizeof(fault->text))
        snprintf(fault->text + length, sizeof(fault->text) - (size_t)length, ": %s", reason);
    make_one_line(fault->text);
    fault->status = SKUA_ERR_IO;
    return SKUA_ERR_IO;
}
