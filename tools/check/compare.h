/* Two sources, and which keys differ between them.
 *
 * Principal entry points: compare_sources.
 * They may be of any kind: a snapshot, a log, a folder. Of the first, a fingerprint of each key is kept in memory; the second is
 * held against it as it passes by. Both are read again for what it is that differs, of the first COMPARE_DETAILED keys.
 * Compared are types, values, times to live of keys and fields, and all of a stream that a log tells: not when consumers were seen, and
 * not how many entries groups have read; nor when keys were used.
 * Threads: one. */
#ifndef SKUA_CHECK_COMPARE_H
#define SKUA_CHECK_COMPARE_H

#include <stdio.h>

#include "check/findings.h"

#define COMPARE_SHOWN    100 /* keys that are listed */
#define COMPARE_DETAILED 20
#define COMPARE_PARTS    5 /* parts of a value that are shown, of each side */

/* Prints what differs, and says CHECK_DAMAGED when anything does. A source that cannot be read to its end: its problem goes to
 * standard error, and that is the status. */
enum check_status compare_sources(const char *first, const char *second, FILE *out);

#endif
