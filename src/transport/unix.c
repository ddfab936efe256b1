/* Unix stream sockets.
 *
 * Principal entry points: transport_unix.
 * Threads: as transport/transport.h says.
 *
 * U1  A listener removes only what is certainly its own or dead: at its start a socket at which nobody
 *     answers, at its end the file that it made itself (same device and inode). Anything else at the path
 *     stays.
 * U2  The file has its group and its permissions before listen is called, so nobody can connect with wider ones. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "transport/socket.h"

static enum status fill_address(const char *path, struct sockaddr_un *ret_address)
{
    size_t size = strlen(path);
    if (size == 0) {
        errno = EINVAL;
        return ST_INVALID;
    }
    if (size >= sizeof(ret_address->sun_path)) {
        errno = ENAMETOOLONG;
        return ST_RANGE;
    }
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, path, size);
    return ST_OK;
}

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* ST_OK when the path is free, if need be after removing what a dead server left (U1). */
static enum status make_room(const struct sockaddr_un *address)
{
    struct stat found;
    if (lstat(address->sun_path, &found) != 0)
        return errno == ENOENT ? ST_OK : ST_IO;
    if (!S_ISSOCK(found.st_mode)) {
        errno = EEXIST;
        return ST_EXISTS;
    }
    int fd = open_socket();
    if (fd < 0)
        return ST_IO;
    int answer = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    int error = answer == 0 ? 0 : errno;
    close(fd);
    if (error == ECONNREFUSED)
        return unlink(address->sun_path) == 0 || errno == ENOENT ? ST_OK : ST_IO;
    if (error == ENOENT)
        return ST_OK;
    if (error == 0 || error == EAGAIN || error == EPROTOTYPE) { /* accepted, queue full, or of another kind */
        errno = EADDRINUSE;
        return ST_EXISTS;
    }
    errno = error;
    return ST_IO;
}

static const char *bound_path(int fd, struct sockaddr_un *address)
{
    socklen_t size = sizeof(*address);
    memset(address, 0, sizeof(*address));
    if (getsockname(fd, (struct sockaddr *)address, &size) != 0 || size <= sizeof(address->sun_family))
        return "";
    return address->sun_path;
}

static const char *peer_path(int fd, struct sockaddr_un *address)
{
    socklen_t size = sizeof(*address);
    memset(address, 0, sizeof(*address));
    if (getpeername(fd, (struct sockaddr *)address, &size) != 0 || size <= sizeof(address->sun_family))
        return "";
    return address->sun_path;
}

/* Of the two ends only the listening one has a path; both are told by it. */
static void unix_describe(const struct stream *stream, struct stream_description *ret_description)
{
    int fd = socket_descriptor(stream);
    struct sockaddr_un address;
    struct ucred peer = {.pid = 0};
    socklen_t peer_size = sizeof(peer);
    *ret_description =
        (struct stream_description){.descriptor = fd, .is_loopback = true, .is_local_socket = true};
    const char *path = bound_path(fd, &address);
    if (*path == '\0')
        path = peer_path(fd, &address);
    snprintf(ret_description->peer, sizeof(ret_description->peer), "%.*s:0", (int)sizeof(address.sun_path),
             path);
    memcpy(ret_description->local, ret_description->peer, sizeof(ret_description->local));
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0) {
        ret_description->peer_pid = peer.pid;
        ret_description->peer_uid = peer.uid;
        ret_description->peer_gid = peer.gid;
    }
}

/* The kernel knows at once when the other end of a Unix socket is gone. */
static void unix_set_keepalive(struct stream *stream, unsigned seconds)
{
}

static const struct stream_ops unix_ops = {
    .recv = socket_recv,
    .send = socket_send,
    .want = socket_want,
    .attach = socket_attach,
    .detach = socket_detach,
    .close = socket_close,
    .describe = unix_describe,
    .set_keepalive = unix_set_keepalive,
};

static void unix_listener_close(struct listener *listener)
{
    struct socket_listener *socket = container_of(listener, struct socket_listener, listener);
    struct stat found;
    if (lstat(socket->path, &found) == 0 && found.st_dev == socket->path_device &&
        found.st_ino == socket->path_inode)
        unlink(socket->path);
    socket_listener_close(listener);
}

/* U2 */
static bool restrict_file(const char *path, const struct listen_options *options)
{
    return (options->group == NULL || chown(path, (uid_t)-1, *options->group) == 0) &&
           (options->permissions == 0 || chmod(path, options->permissions) == 0);
}

/* Binds, sets group and permissions and listens; on failure no file is left. */
static enum status open_listening(const struct sockaddr_un *address, const struct listen_options *options,
                                  int *ret_fd, struct stat *ret_file)
{
    int fd = open_socket();
    if (fd < 0)
        return ST_IO;
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        return socket_give_up(fd, ST_IO);
    if (!restrict_file(address->sun_path, options) || lstat(address->sun_path, ret_file) != 0 ||
        listen(fd, options->backlog) != 0) {
        int error = errno;
        unlink(address->sun_path);
        errno = error;
        return socket_give_up(fd, ST_IO);
    }
    *ret_fd = fd;
    return ST_OK;
}

static enum status unix_listen(const struct transport *transport, struct loop *loop,
                               const struct listen_options *options, struct listener **ret_listener)
{
    struct sockaddr_un address;
    struct socket_listener *listener;
    struct stat file;
    int fd = -1;
    enum status status = fill_address(options->address, &address);
    if (status == ST_OK)
        status = make_room(&address);
    if (status == ST_OK)
        status = open_listening(&address, options, &fd, &file);
    if (status != ST_OK)
        return status;
    status = socket_listener_new(transport, &unix_ops, loop, fd, options, &listener);
    if (status != ST_OK) {
        unlink(address.sun_path);
        return status;
    }
    listener->path = mem_strdup(address.sun_path);
    listener->path_device = file.st_dev;
    listener->path_inode = file.st_ino;
    listener->listener.close = unix_listener_close;
    *ret_listener = &listener->listener;
    return ST_OK;
}

static enum status unix_connect(const struct transport *transport, struct loop *loop, const char *path,
                                struct stream **ret_stream)
{
    struct sockaddr_un address;
    enum status status = fill_address(path, &address);
    if (status != ST_OK)
        return status;
    int fd = open_socket();
    if (fd < 0)
        return ST_IO;
    return socket_connect(transport, &unix_ops, loop, fd, (const struct sockaddr *)&address, sizeof(address),
                          ret_stream);
}

const struct transport transport_unix = {
    .name = "unix",
    .capabilities = TRANSPORT_PEER_IDENTITY,
    .listen = unix_listen,
    .connect = unix_connect,
};
