/* Numbers as people read them, in few columns.
 *
 * Principal entry points: format_count, format_rate, format_bytes, format_usec, format_span, format_percent.
 * Each writes at most FORMAT_MAX bytes with a zero byte and answers with `text`; NAN is "-".
 * Threads: any. */
#ifndef SKUA_TOP_FORMAT_H
#define SKUA_TOP_FORMAT_H

#define FORMAT_MAX 32

/* 950, 12345, 123.4k, 1.23M, 45.6G: at most six columns up to 10^15. */
const char *format_count(double value, char text[static FORMAT_MAX]);
/* The same with a decimal below 10: 0.4, 9.5. */
const char *format_rate(double value, char text[static FORMAT_MAX]);
/* 512B, 1.5K, 12.3M: powers of 1,024. */
const char *format_bytes(double value, char text[static FORMAT_MAX]);
/* 5.02us, 12.3ms, 4.5s. */
const char *format_usec(double value, char text[static FORMAT_MAX]);
/* 45s, 3m12s, 5h03m, 12d04h. */
const char *format_span(double seconds, char text[static FORMAT_MAX]);
/* A part of 1: 0.5%, 45%, 100%. */
const char *format_percent(double part, char text[static FORMAT_MAX]);

#endif
