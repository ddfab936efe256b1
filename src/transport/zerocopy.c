/* MSG_ZEROCOPY. See zerocopy.h. Threads: a socket's owner. */
#include "transport/zerocopy.h"

#include <errno.h>
#include <time.h> /* before errqueue.h, which uses it */

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/bug.h"

/* Bytes of control messages with one note: the extended error and the address of who reported it, which is some 60 bytes with IPv6. */
#define CONTROL_SIZE 256

_Static_assert(sizeof(struct slice) == sizeof(struct iovec), "slice is iovec");

bool zerocopy_enable(int fd)
{
    const int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) == 0;
}

enum status zerocopy_send(int fd, const struct slice *slices, size_t count, size_t *ret_sent)
{
    struct msghdr message = {.msg_iov = (struct iovec *)slices, .msg_iovlen = count};
    for (;;) {
        ssize_t size = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_ZEROCOPY);
        if (likely(size > 0)) {
            *ret_sent = (size_t)size;
            return ST_OK;
        }
        if (size == 0 || errno == EAGAIN)
            return ST_AGAIN;
        if (errno == ENOBUFS || errno == ENOMEM)
            return ST_UNSUPPORTED;
        if (errno != EINTR)
            return ST_IO;
    }
}

/* Notes come at the level of the socket's family, so over IPv6 at its own also for peers with IPv4 addresses. */
static bool is_extended_error(const struct cmsghdr *header)
{
    return (header->cmsg_level == SOL_IP && header->cmsg_type == IP_RECVERR) ||
           (header->cmsg_level == SOL_IPV6 && header->cmsg_type == IPV6_RECVERR);
}

static bool read_note(struct msghdr *message, struct zerocopy_note *ret_note)
{
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        struct sock_extended_err error;
        if (!is_extended_error(header) || header->cmsg_len < CMSG_LEN(sizeof error))
            continue;
        memcpy(&error, CMSG_DATA(header), sizeof error);
        if (error.ee_origin != SO_EE_ORIGIN_ZEROCOPY || error.ee_errno != 0)
            continue; /* an error of the network: TCP goes on by itself */
        *ret_note = (struct zerocopy_note){
            .first = error.ee_info,
            .last = error.ee_data,
            .copied = error.ee_code & SO_EE_CODE_ZEROCOPY_COPIED,
        };
        return true;
    }
    return false;
}

unsigned zerocopy_read(int fd, struct zerocopy_note ret_notes[static ZEROCOPY_NOTES_MAX], unsigned *ret_count,
                       unsigned *ret_truncated)
{
    union {
        char bytes[CONTROL_SIZE];
        struct cmsghdr aligned;
    } controls[ZEROCOPY_NOTES_MAX];
    struct mmsghdr messages[ZEROCOPY_NOTES_MAX];
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < ZEROCOPY_NOTES_MAX; i++) {
        messages[i].msg_hdr.msg_control = controls[i].bytes;
        messages[i].msg_hdr.msg_controllen = CONTROL_SIZE;
    }
    *ret_count = *ret_truncated = 0;
    int count;
    do
        count = recvmmsg(fd, messages, ZEROCOPY_NOTES_MAX, MSG_ERRQUEUE | MSG_DONTWAIT, NULL);
    while (count < 0 && errno == EINTR);
    for (int i = 0; i < count; i++) {
        *ret_truncated += (messages[i].msg_hdr.msg_flags & MSG_CTRUNC) != 0;
        *ret_count += read_note(&messages[i].msg_hdr, &ret_notes[*ret_count]);
    }
    return count > 0 ? (unsigned)count : 0;
}

void zerocopy_dissolve(int fd)
{
    /* A close would leave the queue to the kernel, and a shutdown would wait for the peer: it may be stopped for ever. */
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    int failed = connect(fd, &nobody, sizeof nobody);
    DEBUG_ASSERT(failed == 0 || errno != EBADF);
    (void)failed;
}
