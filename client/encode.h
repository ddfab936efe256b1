/* Requests: from formats to arguments. From arguments to bytes is skua_encode of client.h, which encode.c has too.
 *
 * Principal entry points: encode_format, encode_arguments_done.
 * Threads: any. */
#ifndef SKUA_CLIENT_ENCODE_H
#define SKUA_CLIENT_ENCODE_H

#include <stdarg.h>
#include <stddef.h>

#include <skua/reply.h>
#include <skua/status.h>

/* The arguments of one command, as skua_submit takes them. Each has a zero byte behind it. */
struct encode_arguments {
    size_t count; /* at least 1 */
    const char *const *arguments;
    const size_t *lengths;
    void *block; /* one allocation that holds all of it */
};

/* Splits a format at spaces and puts what it converts in place: client.h, at skua_command, has the conversions. Beyond
 * that, as in printf: flags - + # 0 and blank, a width and a precision of up to two digits each for numbers ("%.17g").
 * The decimal point is a point in every locale. On SKUA_OK give the result to encode_arguments_done.
 * SKUA_ERR_USE: no argument in it, a conversion that is not known, a NULL string. SKUA_ERR_MEMORY. */
enum skua_status encode_format(const struct skua_allocator *allocator, const char *format, va_list values,
                               struct encode_arguments *ret_arguments);
void encode_arguments_done(const struct skua_allocator *allocator, struct encode_arguments *arguments);

#endif
