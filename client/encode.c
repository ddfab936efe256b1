/* Requests: bytes of RESP from arguments, arguments from formats.
 *
 * Principal entry points: skua_encode, encode_format. Threads: any.
 *
 * A format becomes one text with the ends of its arguments noted, both growing as they must; at the end the text, the
 * pointers and the lengths go together into one block. */
#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <skua/client.h>

#include "client/encode.h"
#include "client/memory.h"

#define DIGITS_MAX 20 /* of a size_t */

/* ---- Bytes from arguments --------------------------------------------------------------------------------- */

static size_t count_digits(size_t value)
{
    size_t digits = 1;
    for (; value >= 10; value /= 10)
        digits++;
    return digits;
}

/* "*12\r\n" at `out`; answers with the place behind it. */
static char *put_header(char *out, char type, size_t value)
{
    size_t digits = count_digits(value);
    out[0] = type;
    for (size_t i = digits; i > 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    memcpy(out + 1 + digits, "\r\n", 2);
    return out + 1 + digits + 2;
}

static size_t length_of(const char *const *arguments, const size_t *lengths, size_t i)
{
    return lengths != NULL ? lengths[i] : strlen(arguments[i]);
}

/* Bytes of the whole request, or SIZE_MAX. */
static size_t measure(size_t count, const char *const *arguments, const size_t *lengths)
{
    size_t size = 1 + count_digits(count) + 2;
    for (size_t i = 0; i < count; i++) {
        size_t length = length_of(arguments, lengths, i);
        size_t around = 1 + count_digits(length) + 2 + 2;
        if (__builtin_add_overflow(size, around, &size) || __builtin_add_overflow(size, length, &size))
            return SIZE_MAX;
    }
    return size;
}

size_t skua_encode(char *out, size_t capacity, size_t count, const char *const *arguments,
                   const size_t *lengths)
{
    size_t size = measure(count, arguments, lengths);
    if (size == SIZE_MAX || size > capacity)
        return size;
    out = put_header(out, '*', count);
    for (size_t i = 0; i < count; i++) {
        size_t length = length_of(arguments, lengths, i);
        out = put_header(out, '$', length);
        if (length > 0)
            memcpy(out, arguments[i], length);
        memcpy(out + length, "\r\n", 2);
        out += length + 2;
    }
    return size;
}

/* ---- Arguments from a format ------------------------------------------------------------------------------ */

/* Of one conversion: '%', five flags, two and two digits, a point, the size, the letter */
#define SPEC_MAX     16
#define FLAG_MAX     5
#define DIGIT_MAX    2   /* of a width or a precision */
#define CAPACITY_MIN 32  /* objects */
#define NUMBER_MAX   512 /* "%f" of DBL_MAX has 309 digits, and at most 99 behind the point */

struct format {
    const struct skua_allocator *allocator;
    const char *at; /* what comes next of the format */
    va_list values;
    char *text; /* the arguments, each with a zero byte behind it */
    size_t text_size, text_capacity;
    size_t *ends; /* of each complete argument in `text`, before its zero byte */
    size_t end_count, end_capacity;
    bool open; /* an argument was begun: it may be empty */
};

/* The size that an integer conversion names. */
enum size {
    SIZE_INT,
    SIZE_CHAR,
    SIZE_SHORT,
    SIZE_LONG,
    SIZE_LONG_LONG,
    SIZE_SIZE,
    SIZE_MAXIMUM,
};

/* One conversion. */
struct conversion {
    char flags[FLAG_MAX + 1];
    int width, precision; /* -1 without one */
    enum size size;
    bool plain; /* nothing between '%' and the letter */
    char letter;
};

/* Room for `size` more objects of `each` bytes behind `count` of them. */
static bool grow(const struct skua_allocator *allocator, void **block, size_t *capacity, size_t count,
                 size_t size, size_t each)
{
    size_t needed, bytes;
    if (__builtin_add_overflow(count, size, &needed))
        return false;
    if (needed <= *capacity)
        return true;
    size_t wanted = *capacity <= SIZE_MAX / 2 ? *capacity * 2 : SIZE_MAX;
    if (wanted < CAPACITY_MIN)
        wanted = CAPACITY_MIN;
    if (wanted < needed)
        wanted = needed;
    if (__builtin_mul_overflow(wanted, each, &bytes))
        return false;
    void *bigger = client_resize(allocator, *block, bytes);
    if (bigger == NULL)
        return false;
    *block = bigger;
    *capacity = wanted;
    return true;
}

static enum skua_status append(struct format *format, const void *bytes, size_t size)
{
    void *text = format->text;
    size_t capacity = format->text_capacity;
    if (!grow(format->allocator, &text, &capacity, format->text_size, size, 1))
        return SKUA_ERR_MEMORY;
    format->text = text;
    format->text_capacity = capacity;
    if (size > 0)
        memcpy(format->text + format->text_size, bytes, size);
    format->text_size += size;
    format->open = true;
    return SKUA_OK;
}

static enum skua_status end_argument(struct format *format)
{
    size_t end = format->text_size;
    enum skua_status status = append(format, "", 1);
    if (status != SKUA_OK)
        return status;
    void *ends = format->ends;
    size_t capacity = format->end_capacity;
    if (!grow(format->allocator, &ends, &capacity, format->end_count, 1, sizeof(size_t)))
        return SKUA_ERR_MEMORY;
    format->ends = ends;
    format->end_capacity = capacity;
    format->ends[format->end_count++] = end;
    format->open = false;
    return SKUA_OK;
}

/* ---- Conversions ------------------------------------------------------------------------------------------ */

/* Up to DIGIT_MAX digits; -1 when there are more. */
static int scan_number(struct format *format)
{
    int value = 0;
    for (int digits = 0; *format->at >= '0' && *format->at <= '9'; format->at++) {
        if (digits++ == DIGIT_MAX)
            return -1;
        value = value * 10 + (*format->at - '0');
    }
    return value;
}

static enum size scan_size(struct format *format)
{
    static const struct {
        const char *text; /* the longer one of two with the same beginning first */
        enum size size;
    } sizes[] = {
        {"hh", SIZE_CHAR}, {"h", SIZE_SHORT}, {"ll", SIZE_LONG_LONG},
        {"l", SIZE_LONG},  {"z", SIZE_SIZE},  {"j", SIZE_MAXIMUM},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t length = strlen(sizes[i].text);
        if (strncmp(format->at, sizes[i].text, length) == 0) {
            format->at += length;
            return sizes[i].size;
        }
    }
    return SIZE_INT;
}

/* Behind a '%'. False when it is none. */
static bool scan_conversion(struct format *format, struct conversion *ret_conversion)
{
    struct conversion found = {.width = -1, .precision = -1};
    const char *begin = format->at;
    for (size_t i = 0; *format->at != '\0' && strchr("-+#0 ", *format->at) != NULL; format->at++) {
        if (i == FLAG_MAX)
            return false;
        found.flags[i++] = *format->at;
    }
    if (*format->at >= '1' && *format->at <= '9') {
        found.width = scan_number(format);
        if (found.width < 0)
            return false;
    }
    if (*format->at == '.') {
        format->at++;
        found.precision = scan_number(format);
        if (found.precision < 0)
            return false;
    }
    found.size = scan_size(format);
    found.plain = format->at == begin;
    found.letter = *format->at;
    if (found.letter == '\0')
        return false;
    format->at++;
    *ret_conversion = found;
    return true;
}

/* The conversion as snprintf has it, for an integer of the largest type or a double. */
static void write_spec(const struct conversion *conversion, const char *size, char ret_spec[SPEC_MAX])
{
    char width[DIGIT_MAX + 1] = "", precision[DIGIT_MAX + 2] = "";
    if (conversion->width >= 0)
        snprintf(width, sizeof(width), "%d", conversion->width % 100);
    if (conversion->precision >= 0)
        snprintf(precision, sizeof(precision), ".%d", conversion->precision % 100);
    snprintf(ret_spec, SPEC_MAX, "%%%s%s%s%s%c", conversion->flags, width, precision, size,
             conversion->letter);
}

static intmax_t take_signed(va_list *values, enum size size)
{
    switch (size) {
    case SIZE_CHAR: return (signed char)va_arg(*values, int);
    case SIZE_SHORT: return (short)va_arg(*values, int);
    case SIZE_INT: return va_arg(*values, int);
    case SIZE_LONG: return va_arg(*values, long);
    case SIZE_LONG_LONG: return va_arg(*values, long long);
    case SIZE_SIZE: return va_arg(*values, ssize_t);
    case SIZE_MAXIMUM: return va_arg(*values, intmax_t);
    }
    return 0;
}

static uintmax_t take_unsigned(va_list *values, enum size size)
{
    switch (size) {
    case SIZE_CHAR: return (unsigned char)va_arg(*values, unsigned);
    case SIZE_SHORT: return (unsigned short)va_arg(*values, unsigned);
    case SIZE_INT: return va_arg(*values, unsigned);
    case SIZE_LONG: return va_arg(*values, unsigned long);
    case SIZE_LONG_LONG: return va_arg(*values, unsigned long long);
    case SIZE_SIZE: return va_arg(*values, size_t);
    case SIZE_MAXIMUM: return va_arg(*values, uintmax_t);
    }
    return 0;
}

static enum skua_status append_integer(struct format *format, const struct conversion *conversion)
{
    char spec[SPEC_MAX], number[NUMBER_MAX];
    write_spec(conversion, "j", spec);
    int length;
    if (conversion->letter == 'd' || conversion->letter == 'i')
        length = snprintf(number, sizeof(number), spec, take_signed(&format->values, conversion->size));
    else
        length = snprintf(number, sizeof(number), spec, take_unsigned(&format->values, conversion->size));
    if (length < 0 || (size_t)length >= sizeof(number))
        return SKUA_ERR_USE;
    return append(format, number, (size_t)length);
}

/* In the C locale: the decimal point is a point. */
static enum skua_status append_double(struct format *format, const struct conversion *conversion)
{
    char spec[SPEC_MAX], number[NUMBER_MAX];
    write_spec(conversion, "", spec);
    double value = va_arg(format->values, double);
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0)
        return SKUA_ERR_MEMORY;
    locale_t before = uselocale(plain);
    int length = snprintf(number, sizeof(number), spec, value);
    uselocale(before);
    freelocale(plain);
    if (length < 0 || (size_t)length >= sizeof(number))
        return SKUA_ERR_USE;
    return append(format, number, (size_t)length);
}

static enum skua_status append_string(struct format *format)
{
    const char *string = va_arg(format->values, const char *);
    return string == NULL ? SKUA_ERR_USE : append(format, string, strlen(string));
}

static enum skua_status append_bytes(struct format *format)
{
    const void *bytes = va_arg(format->values, const void *);
    size_t size = va_arg(format->values, size_t);
    return bytes == NULL && size > 0 ? SKUA_ERR_USE : append(format, bytes, size);
}

static enum skua_status convert(struct format *format)
{
    struct conversion conversion;
    if (!scan_conversion(format, &conversion))
        return SKUA_ERR_USE;
    switch (conversion.letter) {
    case 'd':
    case 'i':
    case 'u':
    case 'x': return append_integer(format, &conversion);
    case 'f':
    case 'g':
    case 'e':
        if (conversion.size != SIZE_INT && conversion.size != SIZE_LONG) /* "%lf" means "%f" */
            return SKUA_ERR_USE;
        return append_double(format, &conversion);
    case 's': return conversion.plain ? append_string(format) : SKUA_ERR_USE;
    case 'b': return conversion.plain ? append_bytes(format) : SKUA_ERR_USE;
    case '%': return conversion.plain ? append(format, "%", 1) : SKUA_ERR_USE;
    default: return SKUA_ERR_USE;
    }
}

/* ---- All of it -------------------------------------------------------------------------------------------- */

/* The next piece of the format: a blank, a conversion, or text up to one of these. */
static enum skua_status step(struct format *format)
{
    if (*format->at == ' ') {
        format->at++;
        return format->open ? end_argument(format) : SKUA_OK;
    }
    if (*format->at == '%') {
        format->at++;
        return convert(format);
    }
    size_t size = strcspn(format->at, " %");
    enum skua_status status = append(format, format->at, size);
    format->at += size;
    return status;
}

/* Pointers, lengths and text in one block. */
static enum skua_status pack(const struct format *format, struct encode_arguments *ret_arguments)
{
    size_t count = format->end_count, size;
    if (__builtin_mul_overflow(count, sizeof(char *) + sizeof(size_t), &size) ||
        __builtin_add_overflow(size, format->text_size, &size))
        return SKUA_ERR_MEMORY;
    const char **arguments = client_allocate(format->allocator, size);
    if (arguments == NULL)
        return SKUA_ERR_MEMORY;
    size_t *lengths = (size_t *)(arguments + count);
    char *text = (char *)(lengths + count);
    memcpy(text, format->text, format->text_size);
    size_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        arguments[i] = text + begin;
        lengths[i] = format->ends[i] - begin;
        begin = format->ends[i] + 1;
    }
    *ret_arguments = (struct encode_arguments){count, arguments, lengths, arguments};
    return SKUA_OK;
}

enum skua_status encode_format(const struct skua_allocator *allocator, const char *text, va_list values,
                               struct encode_arguments *ret_arguments)
{
    struct format format = {.allocator = allocator, .at = text};
    va_copy(format.values, values);
    enum skua_status status = SKUA_OK;
    while (status == SKUA_OK && *format.at != '\0')
        status = step(&format);
    if (status == SKUA_OK && format.open)
        status = end_argument(&format);
    if (status == SKUA_OK)
        status = format.end_count > 0 ? pack(&format, ret_arguments) : SKUA_ERR_USE;
    va_end(format.values);
    client_release(allocator, format.text);
    client_release(allocator, format.ends);
    return status;
}

void encode_arguments_done(const struct skua_allocator *allocator, struct encode_arguments *arguments)
{
    client_release(allocator, arguments->block);
    *arguments = (struct encode_arguments){0};
}
