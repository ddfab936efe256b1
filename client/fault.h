/* Why something failed: a status and a text for people.
 *
 * Principal entry points: fault_set, fault_set_errno.
 * Threads: as its owner's. */
#ifndef SKUA_CLIENT_FAULT_H
#define SKUA_CLIENT_FAULT_H

#include <skua/status.h>

#define FAULT_TEXT_MAX 384 /* with the zero byte; longer texts are cut */

struct fault {
    enum skua_status status;
    char text[FAULT_TEXT_MAX]; /* one line; empty with SKUA_OK */
};

/* Both answer with the status, so that a function can end with them. Bytes below blank become blanks in the text: it
 * may hold what a server said. */
__attribute__((cold, format(printf, 3, 4))) enum skua_status
fault_set(struct fault *fault, enum skua_status status, const char *format, ...);

/* SKUA_ERR_IO with "<text>: <words for the errno value `error`>". */
__attribute__((cold, format(printf, 3, 4))) enum skua_status fault_set_errno(struct fault *fault, int error,
                                                                             const char *format, ...);

#endif
