/* MSG_ZEROCOPY: the system calls of sending over TCP without copying, and what the kernel tells of it afterwards.
 *
 * Principal entry points: zerocopy_enable, zerocopy_send, zerocopy_read.
 * The kernel numbers the sends of a socket from 0 on, those only that it has taken (of at least a byte), and tells by the socket's error queue which
 * of them are over: ranges of numbers, mostly in order. Keeping track is the caller's (transport/pins.h). No state here.
 * Threads: any; a socket's owner. */
#ifndef SKUA_TRANSPORT_ZEROCOPY_H
#define SKUA_TRANSPORT_ZEROCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

/* Sends `first` to `last` (which may be the smaller one: numbers wrap) are over. */
struct zerocopy_note {
    uint32_t first, last;
    bool copied;
};

/* Notes that one zerocopy_read gives at most. */
#define ZEROCOPY_NOTES_MAX 16

/* False: the kernel does not know it, or not for this socket. */
bool zerocopy_enable(int fd);

/* As stream_send. ST_UNSUPPORTED: the kernel has no memory to keep track of it, or may not pin so much; nothing was sent. */
enum status zerocopy_send(int fd, const struct slice *slices, size_t count, size_t *ret_sent);

/* Takes what is in the error queue: one system call, and another is worth while only when it gave ZEROCOPY_NOTES_MAX messages. Returns how
 * many messages there were, *ret_count of which were notes. *ret_truncated: messages that were cut short (a note that is lost there pins its bytes
 * for ever: to be counted). */
unsigned zerocopy_read(int fd, struct zerocopy_note ret_notes[static ZEROCOPY_NOTES_MAX], unsigned *ret_count,
                       unsigned *ret_truncated);

/* Ends the connection of a TCP socket at once: the peer gets a reset, and what was to be sent is dropped, so that notes for all of it are there at
 * once. The descriptor stays open. */
void zerocopy_dissolve(int fd);

#endif
