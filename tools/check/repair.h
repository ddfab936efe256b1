/* Repairing a log: what stands behind its sound part is kept in another file and cut off.
 *
 * Principal entry points: repair_log.
 * Threads: one. */
#ifndef SKUA_CHECK_REPAIR_H
#define SKUA_CHECK_REPAIR_H

#include <stdbool.h>

#include "check/findings.h"

/* Cuts the log that `findings` finds damaged, after asking on the terminal unless `is_agreed`. The bytes that go are first written to
 * PATH.cut-OFFSET and synced, so that `cat PATH.cut-OFFSET >>PATH` undoes it. CHECK_SOUND: it has been done, CHECK_DAMAGED: it
 * was not wanted, or the damage is none that could be cut off; CHECK_FAILED: the system refused, and the log is as it was. */
enum check_status repair_log(const struct findings *findings, bool is_agreed);

#endif
