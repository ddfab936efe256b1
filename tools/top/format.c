/* Numbers as people read them. Entry: format_count and its like. Threads: any. */
#include "top/format.h"

#include <math.h>
#include <stdio.h>

#include "base/macros.h"

static const char *write_plain(double value, int decimals, char *text)
{
    if (isnan(value))
        snprintf(text, FORMAT_MAX, "-");
    else
        snprintf(text, FORMAT_MAX, "%.*f", decimals, value);
    return text;
}

/* Three significant digits of a value below 1,000 and a unit behind. */
static const char *write_digits(double value, const char *unit, char *text)
{
    int decimals = fabs(value) < 9.995 ? 2 : fabs(value) < 99.95 ? 1 : 0;
    snprintf(text, FORMAT_MAX, "%.*f%s", decimals, value, unit);
    return text;
}

/* The value in the largest unit that leaves at least 1; units[0] is for the value as it is. */
static const char *write_scaled(double value, double step, const char *const *units, unsigned unit_count,
                                char *text)
{
    unsigned unit = 0;
    while (fabs(value) >= step - 0.5 && unit + 1 < unit_count) {
        value /= step;
        unit++;
    }
    if (unit == 0 || fabs(value) >= 1e6) {
        snprintf(text, FORMAT_MAX, "%.0f%s", fmin(fmax(value, -1e15), 1e15), units[unit]);
        return text;
    }
    return write_digits(value, units[unit], text);
}

const char *format_count(double value, char text[static FORMAT_MAX])
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P"};
    if (isnan(value) || fabs(value) < 99999.5)
        return write_plain(value, 0, text);
    return write_scaled(value, 1000, units, ARRAY_COUNT(units), text);
}

const char *format_rate(double value, char text[static FORMAT_MAX])
{
    if (fabs(value) < 9.95 && value != 0)
        return write_plain(value, 1, text);
    return format_count(value, text);
}

const char *format_bytes(double value, char text[static FORMAT_MAX])
{
    static const char *const units[] = {"B", "K", "M", "G", "T", "P"};
    if (isnan(value))
        return write_plain(value, 0, text);
    return write_scaled(value, 1024, units, ARRAY_COUNT(units), text);
}

const char *format_usec(double value, char text[static FORMAT_MAX])
{
    if (isnan(value))
        return write_plain(value, 0, text);
    if (value < 999.5)
        return write_digits(value, "us", text);
    if (value < 999500)
        return write_digits(value / 1e3, "ms", text);
    if (value < 999.5e6)
        return write_digits(value / 1e6, "s", text);
    return format_span(value / 1e6, text);
}

const char *format_span(double seconds, char text[static FORMAT_MAX])
{
    if (isnan(seconds))
        return write_plain(seconds, 0, text);
    long long s = (long long)fmin(fmax(seconds, 0), 1e12);
    if (s < 60)
        snprintf(text, FORMAT_MAX, "%llds", s);
    else if (s < 3600)
        snprintf(text, FORMAT_MAX, "%lldm%02llds", s / 60, s % 60);
    else if (s < 86400)
        snprintf(text, FORMAT_MAX, "%lldh%02lldm", s / 3600, s / 60 % 60);
    else
        snprintf(text, FORMAT_MAX, "%lldd%02lldh", s / 86400, s / 3600 % 24);
    return text;
}

const char *format_percent(double part, char text[static FORMAT_MAX])
{
    if (isnan(part))
        return write_plain(part, 0, text);
    double percent = fmin(fmax(part, -1e6), 1e6) * 100;
    snprintf(text, FORMAT_MAX, percent != 0 && fabs(percent) < 9.95 ? "%.1f%%" : "%.0f%%", percent);
    return text;
}
