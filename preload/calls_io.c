/* The program's reads and writes. Entry points: the C library's, by their names; what they are to do for a descriptor of
 * ours stands in preload/stream.h. Threads: any. */
#include <errno.h>
#include <limits.h>
#include <sys/sendfile.h>

#include "preload/conn.h"
#include "preload/fortify.h"
#include "preload/real.h"
#include "preload/stream.h"

static bool is_ours(int fd)
{
    real_ready();
    return __builtin_expect(conn_of(fd) != NULL, 0);
}

static bool are_parts(const struct iovec *parts, int count)
{
    if (count < 0 || count > IOV_MAX || (count > 0 && !parts)) {
        errno = EINVAL;
        return false;
    }
    return true;
}

static ssize_t receive_one(int fd, void *bytes, size_t size, int flags)
{
    struct iovec part = {bytes, size};
    return stream_receive(fd, &part, 1, flags);
}

static ssize_t send_one(int fd, const void *bytes, size_t size, int flags)
{
    struct iovec part = {(void *)bytes, size};
    return stream_send(fd, &part, 1, flags);
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

EXPORTED ssize_t read(int fd, void *bytes, size_t size)
{
    return is_ours(fd) ? receive_one(fd, bytes, size, 0) : real.read(fd, bytes, size);
}

EXPORTED ssize_t readv(int fd, const struct iovec *parts, int count)
{
    if (!is_ours(fd))
        return real.readv(fd, parts, count);
    return are_parts(parts, count) ? stream_receive(fd, parts, count, 0) : -1;
}

EXPORTED ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    return is_ours(fd) ? receive_one(fd, bytes, size, flags) : real.recv(fd, bytes, size, flags);
}

EXPORTED ssize_t recvfrom(int fd, void *bytes, size_t size, int flags, struct sockaddr *address,
                          socklen_t *address_size)
{
    if (!is_ours(fd))
        return real.recvfrom(fd, bytes, size, flags, address, address_size);
    if (address && address_size)
        *address_size = 0;
    return receive_one(fd, bytes, size, flags);
}

EXPORTED ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    if (!is_ours(fd))
        return real.recvmsg(fd, message, flags);
    if (!are_parts(message->msg_iov, (int)message->msg_iovlen))
        return -1;
    ssize_t size = stream_receive(fd, message->msg_iov, (int)message->msg_iovlen, flags);
    if (size >= 0) {
        message->msg_namelen = 0;
        message->msg_controllen = 0;
        message->msg_flags = 0;
    }
    return size;
}

/* A stream has no messages: the first one takes what there is. */
EXPORTED int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    if (!is_ours(fd))
        return real.recvmmsg(fd, messages, count, flags, timeout);
    ssize_t size = count > 0 ? recvmsg(fd, &messages[0].msg_hdr, flags & ~MSG_WAITFORONE) : 0;
    if (size < 0 || count == 0)
        return (int)size;
    messages[0].msg_len = (unsigned)size;
    return 1;
}

EXPORTED ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room)
{
    if (size > room)
        __chk_fail();
    return read(fd, bytes, size);
}

EXPORTED ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags)
{
    if (size > room)
        __chk_fail();
    return recv(fd, bytes, size, flags);
}

EXPORTED ssize_t __recvfrom_chk(int fd, void *bytes, size_t size, size_t room, int flags,
                                struct sockaddr *address, socklen_t *address_size)
{
    if (size > room)
        __chk_fail();
    return recvfrom(fd, bytes, size, flags, address, address_size);
}

/* ---- Writing ------------------------------------------------------------------------------------------------ */

EXPORTED ssize_t write(int fd, const void *bytes, size_t size)
{
    return is_ours(fd) ? send_one(fd, bytes, size, 0) : real.write(fd, bytes, size);
}

EXPORTED ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (!is_ours(fd))
        return real.writev(fd, parts, count);
    return are_parts(parts, count) ? stream_send(fd, parts, count, 0) : -1;
}

EXPORTED ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    return is_ours(fd) ? send_one(fd, bytes, size, flags) : real.send(fd, bytes, size, flags);
}

EXPORTED ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *address,
                        socklen_t address_size)
{
    if (!is_ours(fd))
        return real.sendto(fd, bytes, size, flags, address, address_size);
    if (address) {
        errno = EISCONN;
        return -1;
    }
    return send_one(fd, bytes, size, flags);
}

/* Nothing goes through memory but bytes: a message with descriptors in it is refused. */
EXPORTED ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (!is_ours(fd))
        return real.sendmsg(fd, message, flags);
    if (message->msg_control && message->msg_controllen > 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (!are_parts(message->msg_iov, (int)message->msg_iovlen))
        return -1;
    return stream_send(fd, message->msg_iov, (int)message->msg_iovlen, flags);
}

EXPORTED int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    if (!is_ours(fd))
        return real.sendmmsg(fd, messages, count, flags);
    unsigned sent = 0;
    while (sent < count) {
        ssize_t size = sendmsg(fd, &messages[sent].msg_hdr, flags);
        if (size < 0)
            break;
        messages[sent++].msg_len = (unsigned)size;
    }
    return sent > 0 || count == 0 ? (int)sent : -1;
}

/* As much of the file as one buffer holds: who calls goes on, as for a socket that is nearly full. */
static ssize_t send_file(int to, int from, off_t *offset, size_t size)
{
    char bytes[16384];
    if (size > sizeof bytes)
        size = sizeof bytes;
    off_t start = offset ? *offset : lseek(from, 0, SEEK_CUR);
    if (start < 0)
        return -1;
    ssize_t got = pread(from, bytes, size, start);
    ssize_t sent = got > 0 ? send_one(to, bytes, (size_t)got, 0) : got;
    if (sent > 0 && offset)
        *offset += sent;
    else if (sent > 0 && lseek(from, start + sent, SEEK_SET) < 0)
        return -1;
    return sent;
}

EXPORTED ssize_t sendfile(int to, int from, off_t *offset, size_t size)
{
    return is_ours(to) ? send_file(to, from, offset, size) : real.sendfile(to, from, offset, size);
}

/* off_t and off64_t are the same on the processors that we know. */
EXPORTED ssize_t sendfile64(int to, int from, off64_t *offset, size_t size)
{
    return sendfile(to, from, (off_t *)offset, size);
}
